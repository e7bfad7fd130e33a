"""Screens, keyboards, serial ports and counters of virtual processors: classes of both namespaces, as in ``schema_v2``.

Data only; any thread.
"""

V2_TEXT = """\
class Msvm_SyntheticDisplayController : CIM_DisplayController (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16
    OperatingStatus:u16 PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16
    EnabledDefault:u16 TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16
    SystemCreationClassName:s SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b
    PowerManagementCapabilities:u16[] Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s
    ErrorCleared:b PowerOnHours:u64 TotalPowerOnHours:u64 OtherIdentifyingInfo:s[] IdentifyingDescriptions:s[]
    AdditionalAvailability:u16[] MaxQuiesceTime:u64 TimeOfLastReset:d ProtocolSupported:u16
    MaxNumberControlled:u32 ProtocolDescription:s VideoProcessor:s VideoMemoryType:u16 OtherVideoMemoryType:s
    NumberOfVideoPages:u32 MaxMemorySupported:u32 AcceleratorCapabilities:u16[] CapabilityDescriptions:s[]
    OtherVideoArchitecture:s VideoArchitecture:u16
class Msvm_S3DisplayController : CIM_DisplayController (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16
    OperatingStatus:u16 PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16
    EnabledDefault:u16 TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16
    SystemCreationClassName:s SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b
    PowerManagementCapabilities:u16[] Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s
    ErrorCleared:b OtherIdentifyingInfo:s[] PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[]
    AdditionalAvailability:u16[] MaxQuiesceTime:u64 TimeOfLastReset:d ProtocolSupported:u16
    MaxNumberControlled:u32 ProtocolDescription:s VideoProcessor:s VideoMemoryType:u16 OtherVideoMemoryType:s
    NumberOfVideoPages:u32 MaxMemorySupported:u32 AcceleratorCapabilities:u16[] CapabilityDescriptions:s[]
    OtherVideoArchitecture:s VideoArchitecture:u16
class Msvm_VideoHead : CIM_VideoHead (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16
    OperatingStatus:u16 PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16
    EnabledDefault:u16 TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16
    SystemCreationClassName:s SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b
    PowerManagementCapabilities:u16[] Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s
    ErrorCleared:b OtherIdentifyingInfo:s[] PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[]
    AdditionalAvailability:u16[] MaxQuiesceTime:u64 CurrentBitsPerPixel:u32 CurrentHorizontalResolution:u32
    CurrentVerticalResolution:u32 MaxRefreshRate:u32 MinRefreshRate:u32 CurrentRefreshRate:u32
    CurrentScanMode:u16 OtherCurrentScanMode:s CurrentNumberOfRows:u32 CurrentNumberOfColumns:u32
    CurrentNumberOfColors:u64
class Msvm_Keyboard : CIM_Keyboard (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16
    OperatingStatus:u16 PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16
    EnabledDefault:u16 TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16
    SystemCreationClassName:s SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b
    PowerManagementCapabilities:u16[] Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s
    ErrorCleared:b OtherIdentifyingInfo:s[] PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[]
    AdditionalAvailability:u16[] MaxQuiesceTime:u64 IsLocked:b Layout:s NumberOfFunctionKeys:u16 Password:u16
    UnicodeSupported:b
class Msvm_DiskDrive : CIM_DiskDrive (@device)
    InstanceID:s Caption:s Description:s ElementName:s InstallDate:d Name:s OperationalStatus:u16[]
    StatusDescriptions:s[] Status:s HealthState:u16 CommunicationStatus:u16 DetailedStatus:u16
    OperatingStatus:u16 PrimaryStatus:u16 EnabledState:u16 OtherEnabledState:s RequestedState:u16
    EnabledDefault:u16 TimeOfLastStateChange:d AvailableRequestedStates:u16[] TransitioningToState:u16
    SystemCreationClassName:s SystemName:s CreationClassName:s DeviceID:s PowerManagementSupported:b
    PowerManagementCapabilities:u16[] Availability:u16 StatusInfo:u16 LastErrorCode:u32 ErrorDescription:s
    ErrorCleared:b OtherIdentifyingInfo:s[] PowerOnHours:u64 TotalPowerOnHours:u64 IdentifyingDescriptions:s[]
    AdditionalAvailability:u16[] MaxQuiesceTime:u64 Capabilities:u16[] CapabilityDescriptions:s[]
    ErrorMethodology:s CompressionMethod:s NumberOfMediaSupported:u32 MaxMediaSize:u64 DefaultBlockSize:u64
    MaxBlockSize:u64 MinBlockSize:u64 NeedsCleaning:b MediaIsLocked:b Security:u16 LastCleaned:d
    MaxAccessTime:u64 UncompressedDataRate:u32 LoadTime:u64 UnloadTime:u64 MountCount:u64 TimeOfLastMount:d
    TotalMountTime:u64 UnitsDescription:s MaxUnitsBeforeCleaning:u64 UnitsUsed:u64 DriveNumber:u32
class Msvm_SerialPortSettingData : Msvm_ResourceAllocationSettingData (InstanceID)
    InstanceID:s Caption:s Description:s ElementName:s ResourceType:u16 OtherResourceType:s ResourceSubType:s
    PoolID:s ConsumerVisibility:u16 HostResource:s[] AllocationUnits:s VirtualQuantity:u64 Reservation:u64
    Limit:u64 Weight:u32 AutomaticAllocation:b AutomaticDeallocation:b Parent:s Connection:s[] Address:s
    MappingBehavior:u16 AddressOnParent:s VirtualQuantityUnits:s VirtualSystemIdentifiers:s[] DebuggerMode:b
class Msvm_VideoHeadOnController : CIM_ControlledBy (Antecedent Dependent)
    Antecedent:ref Dependent:ref AccessState:u16
"""

CIMV2_TEXT = """\
class Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor : Win32_PerfRawData (Name)
    AddressDomainFlushesPersec:u64 AddressSpaceEvictionsPersec:u64 AddressSpaceFlushesPersec:u64
    AddressSpaceSwitchesPersec:u64 APICEOIAccessesPersec:u64 APICIPIsSentPersec:u64 APICMMIOAccessesPersec:u64
    APICSelfIPIsSentPersec:u64 APICTPRAccessesPersec:u64 Caption:s ControlRegisterAccessesCost:u64
    ControlRegisterAccessesCost_Base:u64 ControlRegisterAccessesPersec:u64 CPUIDInstructionsCost:u64
    CPUIDInstructionsCost_Base:u64 CPUIDInstructionsPersec:u64 CPUWaitTimePerDispatch:u64
    CPUWaitTimePerDispatch_Base:u64 DebugRegisterAccessesCost:u64 DebugRegisterAccessesCost_Base:u64
    DebugRegisterAccessesPersec:u64 Description:s EmulatedInstructionsCost:u64 EmulatedInstructionsCost_Base:u64
    EmulatedInstructionsPersec:u64 ExternalInterruptsCost:u64 ExternalInterruptsCost_Base:u64
    ExternalInterruptsPersec:u64 Frequency_Object:u64 Frequency_PerfTime:u64 Frequency_Sys100NS:u64
    GlobalGVARangeFlushesPersec:u64 GPASpaceHypercallsPersec:u64 GuestPageTableMapsPersec:u64
    HardwareInterruptsPersec:u64 HLTInstructionsCost:u64 HLTInstructionsCost_Base:u64 HLTInstructionsPersec:u64
    HypercallsCost:u64 HypercallsCost_Base:u64 HypercallsPersec:u64 IOInstructionsCost:u64
    IOInstructionsCost_Base:u64 IOInstructionsPersec:u64 IOInterceptMessagesPersec:u64
    LargePageTLBFillsPersec:u64 LocalFlushedGVARangesPersec:u64 LogicalProcessorDispatchesPersec:u64
    LogicalProcessorHypercallsPersec:u64 LogicalProcessorMigrationsPersec:u64 LongSpinWaitHypercallsPersec:u64
    MemoryInterceptMessagesPersec:u64 MSRAccessesCost:u64 MSRAccessesCost_Base:u64 MSRAccessesPersec:u64
    MWAITInstructionsCost:u64 MWAITInstructionsCost_Base:u64 MWAITInstructionsPersec:u64 Name:s
    NestedPageFaultInterceptsCost:u64 NestedPageFaultInterceptsCost_Base:u64 NestedPageFaultInterceptsPersec:u64
    OtherHypercallsPersec:u64 OtherInterceptsCost:u64 OtherInterceptsCost_Base:u64 OtherInterceptsPersec:u64
    OtherMessagesPersec:u64 PageFaultInterceptsCost:u64 PageFaultInterceptsCost_Base:u64
    PageFaultInterceptsPersec:u64 PageInvalidationsCost:u64 PageInvalidationsCost_Base:u64
    PageInvalidationsPersec:u64 PageTableAllocationsPersec:u64 PageTableEvictionsPersec:u64
    PageTableReclamationsPersec:u64 PageTableResetsPersec:u64 PageTableValidationsPersec:u64
    PageTableWriteInterceptsPersec:u64 PendingInterruptsCost:u64 PendingInterruptsCost_Base:u64
    PendingInterruptsPersec:u64 PercentGuestRunTime:u64 PercentGuestRunTime_Base:u64
    PercentHypervisorRunTime:u64 PercentHypervisorRunTime_Base:u64 PercentRemoteRunTime:u64
    PercentRemoteRunTime_Base:u64 PercentTotalRunTime:u64 PercentTotalRunTime_Base:u64
    ReflectedGuestPageFaultsPersec:u64 SmallPageTLBFillsPersec:u64 SyntheticInterruptHypercallsPersec:u64
    SyntheticInterruptsPersec:u64 Timestamp_Object:u64 Timestamp_PerfTime:u64 Timestamp_Sys100NS:u64
    TotalInterceptsCost:u64 TotalInterceptsCost_Base:u64 TotalInterceptsPersec:u64 TotalMessagesPersec:u64
    VirtualInterruptHypercallsPersec:u64 VirtualInterruptsPersec:u64 VirtualMMUHypercallsPersec:u64
    VirtualProcessorHypercallsPersec:u64
class Win32_ComputerSystemProcessor : CIM_SystemDevice (GroupComponent PartComponent)
    GroupComponent:ref PartComponent:ref
"""
