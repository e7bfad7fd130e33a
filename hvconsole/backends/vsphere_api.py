"""pyVmomi's two name spaces, deliberately untyped: its stubs know neither faults' fields nor calls. No threads."""

from __future__ import annotations

from typing import Any

import pyVmomi
import pyVmomi.SoapAdapter
import pyVmomi.VmomiSupport

_package: Any = pyVmomi
vim: Any = _package.vim
vmodl: Any = _package.vmodl
known_versions: Any = pyVmomi.VmomiSupport.GetServiceVersions
"""Name space → pyVmomi's names of all versions that it knows, newest first."""
version_id: Any = pyVmomi.VmomiSupport.versionIdMap
"""pyVmomi's name of a version → what servers call it ("8.0.1.0")."""

FAULTS: tuple[type[Exception], ...] = (vmodl.MethodFault, vmodl.RuntimeFault)
"""What pyVmomi raises for what the server said."""

response_deserializer: Any = pyVmomi.SoapAdapter.SoapResponseDeserializer
stub_base: Any = pyVmomi.SoapAdapter.SoapStubAdapterBase
