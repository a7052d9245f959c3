"""The vendor's library for vSphere, as the modules of TCA_EXEC use it. Its own types are of classes that are made while it runs, and say too little to be checked."""

from typing import Any, Final

import pyVmomi

_DRIVER: Final[Any] = pyVmomi
vim: Final[Any] = _DRIVER.vim
vmodl: Final[Any] = _DRIVER.vmodl
SoapStubAdapter: Final[Any] = _DRIVER.SoapStubAdapter
