"""Classes of the namespace root/cimv2: keys, properties, CIM types, as Microsoft documents them.

One line "class Name : Base (keys)" (@service and @device: the four keys of those), then the properties as name:type;
types are s string, b boolean, d datetime, u8…u64 and i8…i64 integers, r real, ref reference, o embedded object, with
[] for arrays. Data only; any thread.
"""

TEXT = """\
class Win32_OperatingSystem : CIM_OperatingSystem (Name)
    BootDevice:s BuildNumber:s BuildType:s Caption:s CodeSet:s CountryCode:s CreationClassName:s
    CSCreationClassName:s CSDVersion:s CSName:s CurrentTimeZone:i16 DataExecutionPrevention_Available:b
    DataExecutionPrevention_32BitApplications:b DataExecutionPrevention_Drivers:b
    DataExecutionPrevention_SupportPolicy:u8 Debug:b Description:s Distributed:b EncryptionLevel:u32
    ForegroundApplicationBoost:u8 FreePhysicalMemory:u64 FreeSpaceInPagingFiles:u64 FreeVirtualMemory:u64
    InstallDate:d LargeSystemCache:u32 LastBootUpTime:d LocalDateTime:d Locale:s Manufacturer:s
    MaxNumberOfProcesses:u32 MaxProcessMemorySize:u64 MUILanguages:s[] Name:s NumberOfLicensedUsers:u32
    NumberOfProcesses:u32 NumberOfUsers:u32 OperatingSystemSKU:u32 Organization:s OSArchitecture:s OSLanguage:u32
    OSProductSuite:u32 OSType:u16 OtherTypeDescription:s PAEEnabled:b PlusProductID:s PlusVersionNumber:s
    PortableOperatingSystem:b Primary:b ProductType:u32 RegisteredUser:s SerialNumber:s
    ServicePackMajorVersion:u16 ServicePackMinorVersion:u16 SizeStoredInPagingFiles:u64 Status:s SuiteMask:u32
    SystemDevice:s SystemDirectory:s SystemDrive:s TotalSwapSpaceSize:u64 TotalVirtualMemorySize:u64
    TotalVisibleMemorySize:u64 Version:s WindowsDirectory:s QuantumLength:u8 QuantumType:u8
class Win32_ComputerSystem : CIM_UnitaryComputerSystem (Name)
    AdminPasswordStatus:u16 AutomaticManagedPagefile:b AutomaticResetBootOption:b AutomaticResetCapability:b
    BootOptionOnLimit:u16 BootOptionOnWatchDog:u16 BootROMSupported:b BootupState:s BootStatus:u16[] Caption:s
    ChassisBootupState:u16 ChassisSKUNumber:s CreationClassName:s CurrentTimeZone:i16 DaylightInEffect:b
    Description:s DNSHostName:s Domain:s DomainRole:u16 EnableDaylightSavingsTime:b FrontPanelResetStatus:u16
    HypervisorPresent:b InfraredSupported:b InitialLoadInfo:s[] InstallDate:d KeyboardPasswordStatus:u16
    LastLoadInfo:s Manufacturer:s Model:s Name:s NameFormat:s NetworkServerModeEnabled:b
    NumberOfLogicalProcessors:u32 NumberOfProcessors:u32 OEMLogoBitmap:u8[] OEMStringArray:s[] PartOfDomain:b
    PauseAfterReset:i64 PCSystemType:u16 PCSystemTypeEx:u16 PowerManagementCapabilities:u16[]
    PowerManagementSupported:b PowerOnPasswordStatus:u16 PowerState:u16 PowerSupplyState:u16 PrimaryOwnerContact:s
    PrimaryOwnerName:s ResetCapability:u16 ResetCount:i16 ResetLimit:i16 Roles:s[] Status:s
    SupportContactDescription:s[] SystemFamily:s SystemSKUNumber:s SystemStartupDelay:u16 SystemStartupOptions:s[]
    SystemStartupSetting:u8 SystemType:s ThermalState:u16 TotalPhysicalMemory:u64 UserName:s WakeUpType:u16
    Workgroup:s
class Win32_ComputerSystemProduct : CIM_Product (IdentifyingNumber Name Version)
    Caption:s Description:s IdentifyingNumber:s Name:s SKUNumber:s Vendor:s Version:s UUID:s
class Win32_Processor : CIM_Processor (DeviceID)
    AddressWidth:u16 Architecture:u16 AssetTag:s Availability:u16 Caption:s Characteristics:u32
    ConfigManagerErrorCode:u32 ConfigManagerUserConfig:b CpuStatus:u16 CreationClassName:s CurrentClockSpeed:u32
    CurrentVoltage:u16 DataWidth:u16 Description:s DeviceID:s ErrorCleared:b ErrorDescription:s ExtClock:u32
    Family:u16 InstallDate:d L2CacheSize:u32 L2CacheSpeed:u32 L3CacheSize:u32 L3CacheSpeed:u32 LastErrorCode:u32
    Level:u16 LoadPercentage:u16 Manufacturer:s MaxClockSpeed:u32 Name:s NumberOfCores:u32 NumberOfEnabledCore:u32
    NumberOfLogicalProcessors:u32 OtherFamilyDescription:s PartNumber:s PNPDeviceID:s
    PowerManagementCapabilities:u16[] PowerManagementSupported:b ProcessorId:s ProcessorType:u16 Revision:u16
    Role:s SecondLevelAddressTranslationExtensions:b SerialNumber:s SocketDesignation:s Status:s StatusInfo:u16
    Stepping:s SystemCreationClassName:s SystemName:s ThreadCount:u32 UniqueId:s UpgradeMethod:u16 Version:s
    VirtualizationFirmwareEnabled:b VMMonitorModeExtensions:b VoltageCaps:u32
class Win32_BIOS : CIM_BIOSElement (Name SoftwareElementID SoftwareElementState TargetOperatingSystem Version)
    BiosCharacteristics:u16[] BIOSVersion:s[] BuildNumber:s Caption:s CodeSet:s CurrentLanguage:s Description:s
    EmbeddedControllerMajorVersion:u8 EmbeddedControllerMinorVersion:u8 IdentificationCode:s
    InstallableLanguages:u16 InstallDate:d LanguageEdition:s ListOfLanguages:s[] Manufacturer:s Name:s
    OtherTargetOS:s PrimaryBIOS:b ReleaseDate:d SerialNumber:s SMBIOSBIOSVersion:s SMBIOSMajorVersion:u16
    SMBIOSMinorVersion:u16 SMBIOSPresent:b SoftwareElementID:s SoftwareElementState:u16 Status:s
    SystemBiosMajorVersion:u8 SystemBiosMinorVersion:u8 TargetOperatingSystem:u16 Version:s
class Win32_LogicalDisk : CIM_LogicalDisk (DeviceID)
    Access:u16 Availability:u16 BlockSize:u64 Caption:s Compressed:b ConfigManagerErrorCode:u32
    ConfigManagerUserConfig:b CreationClassName:s Description:s DeviceID:s DriveType:u32 ErrorCleared:b
    ErrorDescription:s ErrorMethodology:s FileSystem:s FreeSpace:u64 InstallDate:d LastErrorCode:u32
    MaximumComponentLength:u32 MediaType:u32 Name:s NumberOfBlocks:u64 PNPDeviceID:s
    PowerManagementCapabilities:u16[] PowerManagementSupported:b ProviderName:s Purpose:s QuotasDisabled:b
    QuotasIncomplete:b QuotasRebuilding:b Size:u64 Status:s StatusInfo:u16 SupportsDiskQuotas:b
    SupportsFileBasedCompression:b SystemCreationClassName:s SystemName:s VolumeDirty:b VolumeName:s
    VolumeSerialNumber:s
class Win32_NetworkAdapter : CIM_NetworkAdapter (DeviceID)
    AdapterType:s AdapterTypeID:u16 AutoSense:b Availability:u16 Caption:s ConfigManagerErrorCode:u32
    ConfigManagerUserConfig:b CreationClassName:s Description:s DeviceID:s ErrorCleared:b ErrorDescription:s
    GUID:s Index:u32 InstallDate:d Installed:b InterfaceIndex:u32 LastErrorCode:u32 MACAddress:s Manufacturer:s
    MaxNumberControlled:u32 MaxSpeed:u64 Name:s NetConnectionID:s NetConnectionStatus:u16 NetEnabled:b
    NetworkAddresses:s[] PermanentAddress:s PhysicalAdapter:b PNPDeviceID:s PowerManagementCapabilities:u16[]
    PowerManagementSupported:b ProductName:s ServiceName:s Speed:u64 Status:s StatusInfo:u16
    SystemCreationClassName:s SystemName:s TimeOfLastReset:d
class Win32_NetworkAdapterConfiguration : CIM_Setting (Index)
    Caption:s Description:s SettingID:s ArpAlwaysSourceRoute:b ArpUseEtherSNAP:b DatabasePath:s
    DeadGWDetectEnabled:b DefaultIPGateway:s[] DefaultTOS:u8 DefaultTTL:u8 DHCPEnabled:b DHCPLeaseExpires:d
    DHCPLeaseObtained:d DHCPServer:s DNSDomain:s DNSDomainSuffixSearchOrder:s[] DNSEnabledForWINSResolution:b
    DNSHostName:s DNSServerSearchOrder:s[] DomainDNSRegistrationEnabled:b ForwardBufferMemory:u32
    FullDNSRegistrationEnabled:b GatewayCostMetric:u16[] IGMPLevel:u8 Index:u32 InterfaceIndex:u32 IPAddress:s[]
    IPConnectionMetric:u32 IPEnabled:b IPFilterSecurityEnabled:b IPPortSecurityEnabled:b
    IPSecPermitIPProtocols:s[] IPSecPermitTCPPorts:s[] IPSecPermitUDPPorts:s[] IPSubnet:s[] IPUseZeroBroadcast:b
    IPXAddress:s IPXEnabled:b IPXFrameType:u32[] IPXMediaType:u32 IPXNetworkNumber:s[] IPXVirtualNetNumber:s
    KeepAliveInterval:u32 KeepAliveTime:u32 MACAddress:s MTU:u32 NumForwardPackets:u32 PMTUBHDetectEnabled:b
    PMTUDiscoveryEnabled:b ServiceName:s TcpipNetbiosOptions:u32 TcpMaxConnectRetransmissions:u32
    TcpMaxDataRetransmissions:u32 TcpNumConnections:u32 TcpUseRFC1122UrgentPointer:b TcpWindowSize:u16
    WINSEnableLMHostsLookup:b WINSHostLookupFile:s WINSPrimaryServer:s WINSScopeID:s WINSSecondaryServer:s
class Win32_Service : Win32_BaseService (Name)
    AcceptPause:b AcceptStop:b Caption:s CheckPoint:u32 CreationClassName:s DelayedAutoStart:b Description:s
    DesktopInteract:b DisplayName:s ErrorControl:s ExitCode:u32 InstallDate:d Name:s PathName:s ProcessId:u32
    ServiceSpecificExitCode:u32 ServiceType:s Started:b StartMode:s StartName:s State:s Status:s
    SystemCreationClassName:s SystemName:s TagId:u32 WaitHint:u32
class CIM_DataFile : CIM_LogicalFile (Name)
    Caption:s Description:s InstallDate:d Status:s AccessMask:u32 Archive:b Compressed:b CompressionMethod:s
    CreationClassName:s CreationDate:d CSCreationClassName:s CSName:s Drive:s EightDotThreeFileName:s Encrypted:b
    EncryptionMethod:s Name:s Extension:s FileName:s FileSize:u64 FileType:s FSCreationClassName:s FSName:s
    Hidden:b InUseCount:u64 LastAccessed:d LastModified:d Path:s Readable:b System:b Writeable:b Manufacturer:s
    Version:s
class Win32_Directory : CIM_Directory (Name)
    Caption:s Description:s InstallDate:d Name:s Status:s AccessMask:u32 Archive:b Compressed:b CompressionMethod:s
    CreationClassName:s CreationDate:d CSCreationClassName:s CSName:s Drive:s EightDotThreeFileName:s Encrypted:b
    EncryptionMethod:s Extension:s FileName:s FileSize:u64 FileType:s FSCreationClassName:s FSName:s Hidden:b
    InUseCount:u64 LastAccessed:d LastModified:d Path:s Readable:b System:b Writeable:b
class CIM_DirectoryContainsFile : CIM_Component (GroupComponent PartComponent)
    PartComponent:ref GroupComponent:ref
"""
