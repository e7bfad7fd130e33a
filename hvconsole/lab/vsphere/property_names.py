"""The names of all top-level properties of the API's managed objects, as its reference lists them.

A server knows every one of them: one that is not set is left out of its answers, and only other names are refused with
``InvalidProperty``. Data only; any thread.
"""

from __future__ import annotations

_TEXT = """
ManagedEntity: alarmActionsEnabled availableField configIssue configStatus customValue declaredAlarmState
  disabledMethod effectiveRole name overallStatus parent permission recentTask tag triggeredAlarmState value
Folder: childEntity childType externallyManagedFolderInfo namespace
Datacenter: configuration datastore datastoreFolder hostFolder network networkFolder vmFolder
ComputeResource: configManagerEnabled configurationEx datastore environmentBrowser host lifecycleManaged network
  networkBootMode resourcePool summary
ClusterComputeResource: actionHistory configManagerEnabled configuration configurationEx datastore drsFault
  drsRecommendation environmentBrowser hciConfig host lifecycleManaged migrationHistory network networkBootMode
  recommendation resourcePool summary summaryEx
HostSystem: answerFileValidationResult answerFileValidationState capability complianceCheckResult
  complianceCheckState config configManager datastore datastoreBrowser hardware licensableResource network
  precheckRemediationResult remediationResult remediationState runtime summary systemResources vm
VirtualMachine: capability config datastore environmentBrowser guest guestHeartbeatStatus layout layoutEx network
  parentVApp resourceConfig resourcePool rootSnapshot runtime snapshot storage summary
ResourcePool: childConfiguration config namespace owner resourcePool runtime summary vm
Datastore: browser capability host info iormConfiguration summary vm
Network: host summary vm
DistributedVirtualPortgroup: config host key portKeys summary vm
OpaqueNetwork: capability extraConfig host summary vm
Task: availableField info value
VirtualMachineSnapshot: availableField childSnapshot config value vm
ContainerView: container recursive type view
ListView: view
InventoryView: view
ViewManager: viewList
PropertyCollector: filter
PropertyFilter: partialUpdates spec
SessionManager: currentSession defaultLocale message messageLocaleList sessionList supportedLocaleList
PerformanceManager: description historicalInterval perfCounter
EventManager: description latestEvent maxCollector
TaskManager: description maxCollector recentTask
LicenseManager: diagnostics evaluation featureInfo licenseAssignmentManager licensedEdition licenses source
  sourceAvailable
LicenseAssignmentManager:
AuthorizationManager: description privilegeList roleList
SearchIndex:
OvfManager: ovfExportOption ovfImportOption
EnvironmentBrowser: datastoreBrowser
HttpNfcLease: capabilities error info initializeProgress mode state transferProgress
EventHistoryCollector: filter initialized latestPage
TaskHistoryCollector: filter latestPage
HostDatastoreBrowser: datastore supportedType
OptionManager: setting supportedOption
CustomFieldsManager: field
ExtensionManager: extensionList
AlarmManager: defaultExpression description
ScheduledTaskManager: description scheduledTask
FileManager:
VirtualDiskManager:
UserDirectory: domainList
GuestOperationsManager: aliasManager authManager fileManager guestWindowsRegistryManager processManager
ServiceInstance: capability content serverClock
HostStorageSystem: availableField fileSystemVolumeInfo multipathStateInfo storageDeviceInfo systemFile value
HostNetworkSystem: availableField capabilities consoleIpRouteConfig dnsConfig ipRouteConfig networkConfig
  networkInfo offloadCapabilities value
HostDatastoreSystem: capabilities datastore
HostServiceSystem: availableField serviceInfo value
HostDateTimeSystem: dateTimeInfo
HostFirewallSystem: availableField firewallInfo value
HostAutoStartManager: config
HostVMotionSystem: availableField ipConfig netConfig value
HostMemorySystem: availableField consoleReservationInfo value virtualMachineReservationInfo
HostCpuSchedulerSystem: availableField cpuSchedulerInfo hyperthreadInfo value
HostPowerSystem: capability info
HostHealthStatusSystem: runtime
HostVirtualNicManager: availableField info value
HostAuthenticationManager: info supportedStore
CustomizationSpecManager: encryptionKey info
HostLocalAccountManager:
DistributedVirtualSwitchManager:
"""


def _read() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    kind = ""
    for line in _TEXT.strip().splitlines():
        if not line.startswith(" "):
            kind, _, line = line.partition(":")
            found[kind] = []
        found[kind] += line.split()
    return {kind: tuple(names) for kind, names in found.items()}


NAMES = _read()
"""Class → names. Those that every entity of the inventory has are under ManagedEntity."""
