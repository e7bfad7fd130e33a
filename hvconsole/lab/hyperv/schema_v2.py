"""Classes of the namespace root/virtualization/v2: keys, properties, CIM types, as Microsoft documents them.

One line "class Name : Base (keys)" (@service and @device: the four keys of those), then the properties as name:type;
types are s string, b boolean, d datetime, u8…u64 and i8…i64 integers, r real, ref reference, o embedded object, with
[] for arrays. Data only; any thread.
"""

TEXT = """\
class Msvm_ComputerSystem : CIM_ComputerSystem (CreationClassName Name)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 CreationClassName:s Name:s
    PrimaryOwnerName:s PrimaryOwnerContact:s Roles:s[] NameFormat:s OtherIdentifyingInfo:s[]
    IdentifyingDescriptions:s[] Dedicated:u16[] OtherDedicatedDescriptions:s[] ResetCapability:u16
    PowerManagementCapabilities:u16[] OnTimeInMilliseconds:u64 ProcessID:u32 TimeOfLastConfigurationChange:d
    NumberOfNumaNodes:u16 ReplicationState:u16 ReplicationHealth:u16 ReplicationMode:u16
    FailedOverReplicationType:u16 LastReplicationType:u16 LastApplicationConsistentReplicationTime:d
    LastReplicationTime:d LastSuccessfulBackupTime:d EnhancedSessionModeState:u16
class Msvm_PlannedComputerSystem : CIM_ComputerSystem (CreationClassName Name)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 CreationClassName:s Name:s
    NameFormat:s PrimaryOwnerName:s PrimaryOwnerContact:s Roles:s[] OtherIdentifyingInfo:s[]
    IdentifyingDescriptions:s[] Dedicated:u16[] OtherDedicatedDescriptions:s[] ResetCapability:u16
    PowerManagementCapabilities:u16[] AssignedNumaNodeList:u16[] OnTimeInMilliseconds:u64 ProcessID:u32
    TimeOfLastConfigurationChange:d
class Msvm_VirtualSystemSettingData : CIM_VirtualSystemSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s VirtualSystemIdentifier:s VirtualSystemType:s Notes:s[]
    CreationTime:d ConfigurationID:s ConfigurationDataRoot:s ConfigurationFile:s SnapshotDataRoot:s
    SuspendDataRoot:s SwapFileDataRoot:s LogDataRoot:s AutomaticStartupAction:u16 AutomaticStartupActionDelay:d
    AutomaticStartupActionSequenceNumber:u16 AutomaticShutdownAction:u16 AutomaticRecoveryAction:u16
    RecoveryFile:s BIOSGUID:s BIOSSerialNumber:s BaseBoardSerialNumber:s ChassisSerialNumber:s Architecture:s
    ChassisAssetTag:s BIOSNumLock:b BootOrder:u16[] Parent:s UserSnapshotType:u16 IsSaved:b
    AdditionalRecoveryInformation:s AllowFullSCSICommandSet:b DebugChannelId:u32 DebugPortEnabled:u16
    DebugPort:u32 Version:s IncrementalBackupEnabled:b VirtualNumaEnabled:b AllowReducedFcRedundancy:b
    VirtualSystemSubType:s BootSourceOrder:s[] PauseAfterBootFailure:b NetworkBootPreferredProtocol:u16
    GuestControlledCacheTypes:b AutomaticSnapshotsEnabled:b IsAutomaticSnapshot:b GuestStateFile:s
    GuestStateDataRoot:s LockOnDisconnect:b ParentPackage:s AutomaticCriticalErrorActionTimeout:d
    AutomaticCriticalErrorAction:u16 ConsoleMode:u16 SecureBootEnabled:b SecureBootTemplateId:s LowMmioGapSize:u64
    HighMmioGapSize:u64 EnhancedSessionTransportType:u16
class Msvm_SummaryInformation : Msvm_SummaryInformationBase (InstanceID)
    InstanceID:s AllocatedGPU:s Shielded:b AsynchronousTasks:o[] CreationTime:d ElementName:s EnabledState:u16
    OtherEnabledState:s GuestOperatingSystem:s HealthState:u16 Heartbeat:u16 MemoryUsage:u64 MemoryAvailable:i32
    AvailableMemoryBuffer:i32 SwapFilesInUse:b Name:s Notes:s Version:s NumberOfProcessors:u16
    OperationalStatus:u16[] ProcessorLoad:u16 ProcessorLoadHistory:u16[] Snapshots:o[] StatusDescriptions:s[]
    ThumbnailImage:u8[] ThumbnailImageHeight:u16 ThumbnailImageWidth:u16 UpTime:u64 ReplicationState:u16
    ReplicationStateEx:u16[] ReplicationHealth:u16 ReplicationHealthEx:u16[] ReplicationMode:u16
    TestReplicaSystem:ref ApplicationHealth:u16 IntegrationServicesVersionState:u16 MemorySpansPhysicalNumaNodes:b
    ReplicationProviderId:s[] EnhancedSessionModeState:u16 VirtualSwitchNames:s[] VirtualSystemSubType:s
    HostComputerSystemName:s
class Msvm_ConcreteJob : CIM_ConcreteJob (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 JobStatus:s TimeSubmitted:d ScheduledStartTime:d StartTime:d ElapsedTime:d JobRunTimes:u32
    RunMonth:u8 RunDay:i8 RunDayOfWeek:i8 RunStartInterval:d LocalOrUtcTime:u16 UntilTime:d Notify:s Owner:s
    Priority:u32 PercentComplete:u16 DeleteOnCompletion:b ErrorCode:u16 ErrorDescription:s
    ErrorSummaryDescription:s RecoveryAction:u16 OtherRecoveryAction:s JobState:u16 TimeOfLastStateChange:d
    TimeBeforeRemoval:d Cancellable:b JobType:u16
class Msvm_StorageJob : CIM_ConcreteJob (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 JobStatus:s TimeSubmitted:d ScheduledStartTime:d StartTime:d ElapsedTime:d JobRunTimes:u32
    RunMonth:u8 RunDay:i8 RunDayOfWeek:i8 RunStartInterval:d LocalOrUtcTime:u16 UntilTime:d Notify:s Owner:s
    Priority:u32 PercentComplete:u16 DeleteOnCompletion:b ErrorCode:u16 ErrorDescription:s
    ErrorSummaryDescription:s RecoveryAction:u16 OtherRecoveryAction:s JobState:u16 TimeOfLastStateChange:d
    TimeBeforeRemoval:d Cancellable:b Child:s JobCompletionStatusCode:u32 Parent:s JobType:u16
class Msvm_MigrationJob : CIM_ConcreteJob (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 JobStatus:s TimeSubmitted:d ScheduledStartTime:d StartTime:d ElapsedTime:d JobRunTimes:u32
    RunMonth:u8 RunDay:i8 RunDayOfWeek:i8 RunStartInterval:d LocalOrUtcTime:u16 UntilTime:d Notify:s Owner:s
    Priority:u32 PercentComplete:u16 DeleteOnCompletion:b ErrorCode:u16 ErrorDescription:s RecoveryAction:u16
    OtherRecoveryAction:s JobState:u16 TimeOfLastStateChange:d TimeBeforeRemoval:d Cancellable:b
    ErrorSummaryDescription:s MigrationType:u16 VirtualSystemName:s DestinationHost:s NewSystemSettingData:s
    NewResourceSettingData:s[] JobType:u16
class Msvm_Error : CIM_Error ()
    ErrorType:u16 OtherErrorType:s OwningEntity:s MessageID:s Message:s MessageArguments:s[] PerceivedSeverity:u16
    ProbableCause:u16 ProbableCauseDescription:s RecommendedActions:s[] ErrorSource:s ErrorSourceFormat:u16
    OtherErrorSourceFormat:s CIMStatusCode:u32 CIMStatusCodeDescription:s
class Msvm_VirtualSystemManagementService : CIM_VirtualSystemManagementService (@service)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s PrimaryOwnerName:s PrimaryOwnerContact:s StartMode:s Started:b
class Msvm_VirtualSystemSnapshotService : CIM_VirtualSystemSnapshotService (@service)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s PrimaryOwnerName:s PrimaryOwnerContact:s StartMode:s Started:b
class Msvm_VirtualSystemMigrationService : CIM_VirtualSystemMigrationService (@service)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:s OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s Name:s CreationClassName:s PrimaryOwnerName:s PrimaryOwnerContact:s StartMode:s Started:b
    ActiveVirtualSystemMigrationCount:u32 ActiveStorageMigrationCount:u32
    MigrationServiceListenerIPAddressList:s[]
class Msvm_ImageManagementService : CIM_Service (@service)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s Name:s PrimaryOwnerName:s PrimaryOwnerContact:s StartMode:s Started:b
class Msvm_VirtualEthernetSwitchManagementService : CIM_VirtualSystemManagementService (@service)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s PrimaryOwnerName:s PrimaryOwnerContact:s StartMode:s Started:b
class Msvm_ShutdownComponent : CIM_LogicalDevice (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64
class Msvm_HeartbeatComponent : CIM_LogicalDevice (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64
class Msvm_KvpExchangeComponent : CIM_LogicalDevice (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64 GuestExchangeItems:s[] GuestIntrinsicExchangeItems:s[]
class Msvm_TimeSyncComponent : CIM_LogicalDevice (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64
class Msvm_VssComponent : CIM_LogicalDevice (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64
class Msvm_GuestServiceInterfaceComponent : CIM_LogicalDevice (@device)
    Availability:u16 Caption:s ConfigManagerErrorCode:u32 ConfigManagerUserConfig:b CreationClassName:s
    Description:s DeviceID:s ErrorCleared:b ErrorDescription:s InstallDate:d LastErrorCode:u32 Name:s
    PNPDeviceID:s PowerManagementCapabilities:u16[] PowerManagementSupported:b Status:s StatusInfo:u16
    SystemCreationClassName:s SystemName:s
class Msvm_KvpExchangeDataItem : CIM_ManagedElement (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s Source:u16 Name:s Data:s
class Msvm_ResourceAllocationSettingData : CIM_ResourceAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Reservation:u64
    Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s VirtualSystemIdentifiers:s[]
class Msvm_StorageAllocationSettingData : CIM_StorageAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Limit:u64 Weight:u32
    StorageQoSPolicyID:s AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualResourceBlockSize:u64 VirtualQuantityUnits:s Access:u16
    HostResourceBlockSize:u64 Reservation:u64 HostExtentStartingAddress:u64 HostExtentName:s
    HostExtentNameFormat:u16 OtherHostExtentNameFormat:s HostExtentNameNamespace:u16
    OtherHostExtentNameNamespace:s IOPSLimit:u64 IOPSReservation:u64 IOPSAllocationUnits:s
    PersistentReservationsSupported:b CachingMode:u16 SnapshotId:s IgnoreFlushes:b WriteHardeningMethod:u16
class Msvm_MemorySettingData : CIM_ResourceAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] HugePagesEnabled:b AllocationUnits:s VirtualQuantity:u64
    Reservation:u64 Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[]
    Address:s MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s DynamicMemoryEnabled:b
    TargetMemoryBuffer:u32 IsVirtualized:b SwapFilesInUse:b MaxMemoryBlocksPerNumaNode:u64 SgxSize:u64
    SgxEnabled:b
class Msvm_ProcessorSettingData : CIM_ResourceAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Reservation:u64
    Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s LimitCPUID:b HwThreadsPerCore:u64
    LimitProcessorFeatures:b MaxProcessorsPerNumaNode:u64 MaxNumaNodesPerSocket:u64 EnableHostResourceProtection:b
    CpuGroupId:s HideHypervisorPresent:b ExposeVirtualizationExtensions:b
class Msvm_SyntheticEthernetPortSettingData : CIM_EthernetPortAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Reservation:u64
    Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s DesiredVLANEndpointMode:u16 OtherEndpointMode:s
    VirtualSystemIdentifiers:s[] DeviceNamingEnabled:b AllowPacketDirect:b StaticMacAddress:b ClusterMonitored:b
class Msvm_EthernetPortAllocationSettingData : CIM_EthernetPortAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Reservation:u64
    Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s DesiredVLANEndpointMode:u16 OtherEndpointMode:s
    EnabledState:u16 LastKnownSwitchName:s RequiredFeatures:s[] RequiredFeatureHints:s[] TestReplicaPoolID:s
    TestReplicaSwitchName:s CompartmentGuid:s
class Msvm_SyntheticEthernetPort : CIM_EthernetPort (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64 Speed:u64 MaxSpeed:u64 RequestedSpeed:u64 UsageRestriction:u16 PortType:u16 OtherPortType:s
    OtherNetworkPortType:s PortNumber:u16 LinkTechnology:u16 OtherLinkTechnology:s PermanentAddress:s
    NetworkAddresses:s[] FullDuplex:b AutoSense:b SupportedMaximumTransmissionUnit:u64
    ActiveMaximumTransmissionUnit:u64 MaxDataSize:u32 Capabilities:u16[] CapabilityDescriptions:s[]
    EnabledCapabilities:u16[] OtherEnabledCapabilities:s[]
class Msvm_GuestNetworkAdapterConfiguration : - (InstanceID)
    InstanceID:s ProtocolIFType:u16 DHCPEnabled:b IPAddresses:s[] Subnets:s[] DefaultGateways:s[] DNSServers:s[]
    IPAddressOrigins:u16[]
class Msvm_VirtualEthernetSwitch : CIM_ComputerSystem (CreationClassName Name)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 CreationClassName:s Name:s
    PrimaryOwnerName:s PrimaryOwnerContact:s Roles:s[] NameFormat:s OtherIdentifyingInfo:s[]
    IdentifyingDescriptions:s[] Dedicated:u16[] OtherDedicatedDescriptions:s[] ResetCapability:u16
    PowerManagementCapabilities:u16[] MaxVMQOffloads:u32 MaxIOVOffloads:u32
class Msvm_VirtualEthernetSwitchSettingData : CIM_VirtualEthernetSwitchSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s VirtualSystemIdentifier:s VirtualSystemType:s Notes:s[]
    CreationTime:d ConfigurationID:s ConfigurationDataRoot:s ConfigurationFile:s SnapshotDataRoot:s
    SuspendDataRoot:s SwapFileDataRoot:s LogDataRoot:s AutomaticStartupAction:u16 AutomaticStartupActionDelay:d
    AutomaticStartupActionSequenceNumber:u16 AutomaticShutdownAction:u16 AutomaticRecoveryAction:u16
    RecoveryFile:s VLANConnection:s[] AssociatedResourcePool:s[] MaxNumMACAddress:u32 IOVPreferred:b
    ExtensionOrder:s[] BandwidthReservationMode:u32 TeamingEnabled:b PacketDirectEnabled:b
class Msvm_EthernetSwitchPort : CIM_EthernetPort (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64 Speed:u64 MaxSpeed:u64 RequestedSpeed:u64 UsageRestriction:u16 PortType:u16 OtherPortType:s
    OtherNetworkPortType:s PortNumber:u16 LinkTechnology:u16 OtherLinkTechnology:s PermanentAddress:s
    NetworkAddresses:s[] FullDuplex:b AutoSense:b SupportedMaximumTransmissionUnit:u64
    ActiveMaximumTransmissionUnit:u64 MaxDataSize:u32 Capabilities:u16[] CapabilityDescriptions:s[]
    EnabledCapabilities:u16[] OtherEnabledCapabilities:s[] VMQOffloadUsage:u32 IOVOffloadUsage:u32
class Msvm_ExternalEthernetPort : CIM_EthernetPort (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[] AdditionalAvailability:s[]
    MaxQuiesceTime:u64 Speed:u64 MaxSpeed:u64 RequestedSpeed:u64 UsageRestriction:u16 PortType:u16 OtherPortType:s
    OtherNetworkPortType:s PortNumber:u16 LinkTechnology:u16 OtherLinkTechnology:s PermanentAddress:s
    NetworkAddresses:s[] FullDuplex:b AutoSense:b SupportedMaximumTransmissionUnit:u64
    ActiveMaximumTransmissionUnit:u64 MaxDataSize:u32 Capabilities:u16[] CapabilityDescriptions:s[]
    EnabledCapabilities:u16[] OtherEnabledCapabilities:s[] IsBound:b
class Msvm_InternalEthernetPort : CIM_EthernetPort (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16 OperatingStatus:u16
    PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16 EnabledDefault:u16
    TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16 SystemCreationClassName:s
    SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b PowerManagementCapabilities:u16[]
    Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s ErrorCleared:b OtherIdentifyingInfo:s[]
    PowerOnHours:u64 TotalPowerOnHours:u16 IdentifyingDescriptions:s[] AdditionalAvailability:u16[]
    MaxQuiesceTime:u64 MaxSpeed:u64 RequestedSpeed:u64 UsageRestriction:u16 OtherPortType:s Speed:u64
    OtherNetworkPortType:s PortNumber:u16 LinkTechnology:u16 OtherLinkTechnology:s PermanentAddress:s FullDuplex:b
    AutoSense:b SupportedMaximumTransmissionUnit:u64 ActiveMaximumTransmissionUnit:u64 PortType:u16
    NetworkAddresses:s[] MaxDataSize:u32 Capabilities:u16[] CapabilityDescriptions:s[] EnabledCapabilities:u16[]
    OtherEnabledCapabilities:s[]
class Msvm_EthernetSwitchPortVlanSettingData : Msvm_EthernetSwitchPortFeatureSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s OperationMode:u32 AccessVlanId:u16 NativeVlanId:u16
    PvlanMode:u32 PrimaryVlanId:u16 SecondaryVlanId:u16 PruneVlanIdArray:u16[] TrunkVlanIdArray:u16[]
    SecondaryVlanIdArray:u16[]
class Msvm_VirtualHardDiskSettingData : CIM_SettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s Type:u16 Format:u16 Path:s ParentPath:s ParentTimestamp:d
    ParentIdentifier:s MaxInternalSize:u64 BlockSize:u32 LogicalSectorSize:u32 PhysicalSectorSize:u32
    VirtualDiskId:s DataAlignment:u64 PmemAddressAbstractionType:u16 IsPmemCompatible:b
class Msvm_VirtualHardDiskState : - ()
    FileSize:u64 InUse:b MinInternalSize:u64 PhysicalSectorSize:u32 Alignment:u32 FragmentationPercentage:u32
    Timestamp:d
class Msvm_VirtualSystemExportSettingData : CIM_SettingData (InstanceID)
    CaptureLiveState:u8 InstanceID:s Caption:s Description:s ElementName:s CopySnapshotConfiguration:u8
    CopyVmRuntimeInformation:b CopyVmStorage:b CreateVmExportSubdirectory:b SnapshotVirtualSystem:s
    BackupIntent:u8 ExportForLiveMigration:b DisableDifferentialOfIgnoredStorage:b ExcludedVirtualHardDisks:s[]
    DifferentialBackupBase:s
class Msvm_VirtualSystemSnapshotSettingData : CIM_SettingData ()
    ConsistencyLevel:u8 IgnoreNonSnapshottableDisks:b GuestBackupType:u8
class Msvm_VirtualSystemMigrationSettingData : CIM_VirtualSystemMigrationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s MigrationType:u16 Priority:u16 Bandwidth:u16
    BandwidthUnit:s OtherTransportType:s TransportType:u16 RemoveSourceUnmanagedVhds:b AvoidRemovingVHDs:b
    CPUCappingMagnitude:u16 CancelIfBlackoutThresholdExceeded:b AllowOverwriteExistingFile:b UnmanagedVhds:s[]
    DestinationPlannedVirtualSystemId:s DestinationIPAddressList:s[] RetainVhdCopiesOnSource:b EnableCompression:b
class Msvm_VirtualSystemMigrationServiceSettingData : CIM_SettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s EnableVirtualSystemMigration:b
    MaximumActiveVirtualSystemMigration:u32 MaximumActiveStorageMigration:u32 AuthenticationType:u32
    EnableCompression:b EnableSmbTransport:b
class Msvm_VirtualSystemManagementServiceSettingData : CIM_SettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s BiosLockString:s DefaultExternalDataRoot:s
    DefaultVirtualHardDiskPath:s MaximumMacAddress:s MinimumMacAddress:s NumaSpanningEnabled:b
    PrimaryOwnerContact:s PrimaryOwnerName:s HbaLunTimeout:u32 MaximumWWPNAddress:s MinimumWWPNAddress:s
    CurrentWWNNAddress:s DefaultVirtualHardDiskCachingMode:u16 HypervisorRootSchedulerEnabled:b
    EnhancedSessionModeEnabled:b
class Msvm_VirtualSystemManagementCapabilities : CIM_VirtualSystemManagementCapabilities (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ElementNameEditSupported:b MaxElementNameLen:o
    RequestedStatesSupported:o[] ElementNameMask:s VirtualSystemTypesSupported:s[]
    SynchronousMethodsSupported:u16[] AsynchronousMethodsSupported:u16[] IndicationsSupported:u16[]
class Msvm_VirtualSystemMigrationCapabilities : CIM_VirtualSystemMigrationCapabilities (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s SynchronousMethodsSupported:u16[]
    AsynchronousMethodsSupported:u16[] DestinationHostFormatsSupported:u16[]
class Msvm_SettingsDefineState : CIM_SettingsDefineState (ManagedElement SettingData)
    ManagedElement:ref SettingData:ref
class Msvm_VirtualSystemSettingDataComponent : CIM_VirtualSystemSettingDataComponent (GroupComponent PartComponent)
    GroupComponent:ref PartComponent:ref
class Msvm_SnapshotOfVirtualSystem : CIM_SnapshotOfVirtualSystem (Antecedent Dependent)
    Antecedent:ref Dependent:ref
class Msvm_MostCurrentSnapshotInBranch : CIM_MostCurrentSnapshotInBranch (Antecedent Dependent)
    Antecedent:ref Dependent:ref
class Msvm_LastAppliedSnapshot : CIM_LastAppliedSnapshot (Antecedent Dependent)
    Antecedent:ref Dependent:ref
class Msvm_ParentChildSettingData : CIM_Dependency (Antecedent Dependent)
    Antecedent:ref Dependent:ref
class Msvm_SystemDevice : CIM_SystemDevice (GroupComponent PartComponent)
    GroupComponent:ref PartComponent:ref
class Msvm_AffectedJobElement : CIM_AffectedJobElement (AffectedElement AffectingElement)
    AffectedElement:ref AffectingElement:ref ElementEffects:u16[] OtherElementEffectsDescriptions:s[]
class Msvm_SettingDataComponent : CIM_Component (GroupComponent PartComponent)
    GroupComponent:ref PartComponent:ref
class Msvm_ElementSettingData : CIM_ElementSettingData (ManagedElement SettingData)
    ManagedElement:ref SettingData:ref IsDefault:u16 IsCurrent:u16 IsNext:u16
"""
