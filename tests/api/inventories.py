"""An inventory that works, one entry of each kind that no other one names, and where each stands in paths."""

from typing import Any, Final

from stepswitch.api.inventory_operations import KINDS

SPARE: Final = "spare"
WHOLE: Final[dict[str, dict[str, Any]]] = {
    "sites": {SPARE: {"description": "hall 2"}},
    "vimLocations": {
        "home": {"kubernetes": {"url": "https://k8s.example.net:6443"}},
        SPARE: {"vcenter": {"url": "https://vc.example.net"}},
    },
    "virtualMachines": {SPARE: {"vimLocation": "home", "managedObjectId": "vm-1042"}},
    "networkFunctions": {SPARE: {"type": "VNF", "vimLocation": "home", "name": "SMF"}},
    "networkServices": {SPARE: {"name": "5G core"}},
    "devices": {SPARE: {"addresses": ["192.0.2.7", "core-7.example.net"], "platform": "iosxr"}},
    "sources": {SPARE: {"kind": "SOL003", "url": "https://127.0.0.1:1/vnfm", "everySeconds": 86_400}},
}
NAMES: Final = {kind.parameter: SPARE for kind in KINDS}
"""What stands in a path, by its parameter."""
BODIES: Final[dict[str, Any]] = {
    "replaceInventory": WHOLE,
    **{f"put{kind.parameter[0].upper()}{kind.parameter[1:]}": WHOLE[kind.section][SPARE] for kind in KINDS},
}
"""What is sent, by operation."""
ENTRY_READS: Final = tuple(each.replace("put", "get") for each in BODIES if each.startswith("put"))
ENTRY_PUTS: Final = tuple(each for each in BODIES if each.startswith("put"))
ENTRY_REMOVALS: Final = tuple(each.replace("put", "remove") for each in BODIES if each.startswith("put"))
