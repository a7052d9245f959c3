"""A document of an inventory that uses everything, and one that has everything wrong. Used by the tests of inventories."""

from typing import Any, Final

FINGERPRINT: Final = "SHA256:" + "A" * 43
KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
PEM: Final = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
FULL: Final[dict[str, Any]] = {
    "sites": {"paris": {"description": "hall 2"}},
    "vimLocations": {
        "paris-vc": {
            "site": "paris",
            "vcenter": {"url": "https://vc.example.net:443/sdk", "login": {"username": "ann", "password": {"credential": "vc"}}},
            "vro": {"url": "https://vro.example.net", "caCertificates": PEM},
        },
        "k8s": {
            "kubernetes": {
                "url": "https://[2001:db8::1]:6443",
                "namespace": "workflows",
                "token": {"credential": "token"},
                "clientCertificate": PEM,
                "clientKey": {"credential": "key"},
            },
            "vimConnectionIds": ["vim-7", "k8s of paris"],
        },
    },
    "virtualMachines": {"vm-1": {"vimLocation": "paris-vc", "path": "/Paris/vm/smf-1", "login": {"username": "root"}}},
    "networkFunctions": {
        "nf-1": {"type": "VNF", "vimLocation": "paris-vc", "virtualMachines": ["vm-1"], "devices": ["core-7"]},
        "nf-2": {"type": "CNF", "vimLocation": "k8s", "name": "UPF"},
    },
    "networkServices": {"ns-1": {"name": "core", "networkFunctions": ["nf-1", "nf-2"]}},
    "devices": {
        "bastion": {"addresses": ["bastion.example.net"]},
        "core-7": {
            "addresses": ["192.0.2.7", "Core-7.example.net.", "[2001:DB8:0:0::7]:830", "127.0.0.1:2201"],
            "site": "paris",
            "platform": "iosxr",
            "login": {
                "username": "ann",
                "password": {"credential": "core"},
                "privateKey": {"credential": "ssh"},
                "passphrase": {"credential": "phrase"},
                "enablePassword": {"credential": "enable"},
            },
            "hostKeys": [f"{KEY} of core-7", FINGERPRINT],
            "algorithms": {"keyExchange": ["diffie-hellman-group14-sha1"], "ciphers": ["aes128-cbc", "aes256-gcm@openssh.com"]},
            "jumpHost": "bastion",
            "timeLimits": {"connectSeconds": 5, "silenceSeconds": 30.5},
            "sessionsAtOnce": 2,
        },
        "core-8": {"addresses": ["127.0.0.1"], "algorithms": "legacy"},
    },
    "sources": {
        "nfvo": {
            "kind": "SOL005",
            "url": "https://nfvo.example.net:8443/mano",
            "apiVersion": "1.3.0",
            "login": {"username": "stepswitch", "password": {"credential": "core"}},
            "caCertificates": PEM,
            "everySeconds": 60,
        },
        "vnfm": {
            "description": "of hall 2",
            "kind": "SOL003",
            "url": "https://vnfm.example.net",
            "oauth": {
                "tokenUrl": "https://sso.example.net/token",
                "clientId": "stepswitch",
                "clientSecret": {"credential": "core"},
                "scope": "vnflcm:v2:readonly",
            },
            "filter": "(eq,vnfProductName,SMF);(in,vnfProvider,A,B)",
        },
    },
}
"""Everything that an inventory can say."""
