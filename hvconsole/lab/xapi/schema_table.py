"""Names and types of the fields of every XenAPI class that the lab serves, as one table of text.

A line "Class = field:type …" per class, continued by indented lines. Types: s string or enum, i int, f float, b bool,
d datetime, a class name for a reference, [x] a set of x, {x,y} a map; "!" marks a field that clients may set.
Read by ``schema``; pure data.
"""

from __future__ import annotations

TABLE = """
session = uuid:s this_host:host this_user:user last_active:d pool:b other_config:{s,s}! is_local_superuser:b
    subject:subject validation_time:d auth_user_sid:s auth_user_name:s rbac_permissions:[s] tasks:[task]
    parent:session originator:s client_certificate:b
subject = uuid:s subject_identifier:s other_config:{s,s} roles:[role]
role = uuid:s name_label:s name_description:s subroles:[role] is_internal:b
task = uuid:s name_label:s name_description:s allowed_operations:[s] current_operations:{s,s} created:d finished:d
    status:s resident_on:host progress:f type:s result:s error_info:[s] other_config:{s,s}! subtask_of:task
    subtasks:[task] backtrace:s
pool = uuid:s name_label:s! name_description:s! master:host default_SR:SR! suspend_image_SR:SR! crash_dump_SR:SR!
    other_config:{s,s}! ha_enabled:b ha_configuration:{s,s} ha_statefiles:[s] ha_host_failures_to_tolerate:i
    ha_plan_exists_for:i ha_allow_overcommit:b! ha_overcommitted:b blobs:{s,blob} tags:[s]! gui_config:{s,s}!
    health_check_config:{s,s}! wlb_url:s wlb_username:s wlb_enabled:b! wlb_verify_cert:b! redo_log_enabled:b
    redo_log_vdi:VDI vswitch_controller:s restrictions:{s,s} metadata_VDIs:[VDI] ha_cluster_stack:s
    allowed_operations:[s] current_operations:{s,s} guest_agent_config:{s,s}! cpu_info:{s,s}
    policy_no_vendor_device:b! live_patching_disabled:b! igmp_snooping_enabled:b uefi_certificates:s!
    custom_uefi_certificates:s! is_psr_pending:b! tls_verification_enabled:b repositories:[Repository]
    client_certificate_auth_enabled:b client_certificate_auth_name:s repository_proxy_url:s
    repository_proxy_username:s repository_proxy_password:secret migration_compression:b! coordinator_bias:b!
    local_auth_max_threads:i ext_auth_max_threads:i telemetry_uuid:secret telemetry_frequency:s
    telemetry_next_collection:d last_update_sync:d update_sync_frequency:s update_sync_day:i update_sync_enabled:b
pool_patch = uuid:s name_label:s name_description:s version:s size:i pool_applied:b host_patches:[host_patch]
    after_apply_guidance:[s] pool_update:pool_update other_config:{s,s}!
pool_update = uuid:s name_label:s name_description:s version:s installation_size:i key:s after_apply_guidance:[s]
    vdi:VDI hosts:[host] other_config:{s,s}! enforce_homogeneity:b
VM = uuid:s allowed_operations:[s] current_operations:{s,s} name_label:s! name_description:s! power_state:s
    user_version:i! is_a_template:b! is_default_template:b suspend_VDI:VDI! resident_on:host
    scheduled_to_be_resident_on:host affinity:host! memory_overhead:i memory_target:i memory_static_max:i!
    memory_dynamic_max:i! memory_dynamic_min:i! memory_static_min:i! VCPUs_params:{s,s}! VCPUs_max:i!
    VCPUs_at_startup:i! actions_after_softreboot:s! actions_after_shutdown:s! actions_after_reboot:s!
    actions_after_crash:s! consoles:[console] VIFs:[VIF] VBDs:[VBD] VUSBs:[VUSB] crash_dumps:[crashdump]
    VTPMs:[VTPM] PV_bootloader:s! PV_kernel:s! PV_ramdisk:s! PV_args:s! PV_bootloader_args:s! PV_legacy_args:s!
    HVM_boot_policy:s! HVM_boot_params:{s,s}! HVM_shadow_multiplier:f! platform:{s,s}! PCI_bus:s!
    other_config:{s,s}! domid:i domarch:s last_boot_CPU_flags:{s,s} is_control_domain:b metrics:VM_metrics
    guest_metrics:VM_guest_metrics last_booted_record:s recommendations:s! xenstore_data:{s,s}! ha_always_run:b!
    ha_restart_priority:s! is_a_snapshot:b snapshot_of:VM snapshots:[VM] snapshot_time:d transportable_snapshot_id:s
    blobs:{s,blob} tags:[s]! blocked_operations:{s,s}! snapshot_info:{s,s} snapshot_metadata:s parent:VM
    children:[VM] bios_strings:{s,s}! protection_policy:VMPP is_snapshot_from_vmpp:b snapshot_schedule:VMSS
    is_vmss_snapshot:b appliance:VM_appliance! start_delay:i! shutdown_delay:i! order:i! VGPUs:[VGPU]
    attached_PCIs:[PCI] suspend_SR:SR! version:i generation_id:s hardware_platform_version:i! has_vendor_device:b!
    requires_reboot:b reference_label:s domain_type:s! NVRAM:{s,s}! pending_guidances:[s]
    pending_guidances_recommended:[s] pending_guidances_full:[s]
VM_metrics = uuid:s memory_actual:i VCPUs_number:i VCPUs_utilisation:{i,f} VCPUs_CPU:{i,i} VCPUs_params:{s,s}
    VCPUs_flags:{i,[s]} state:[s] start_time:d install_time:d last_updated:d other_config:{s,s}! hvm:b nested_virt:b
    nomigrate:b current_domain_type:s
VM_guest_metrics = uuid:s netbios_name:{s,s} services:{s,s} os_version:{s,s} PV_drivers_version:{s,s}
    PV_drivers_up_to_date:b memory:{s,s} disks:{s,s} networks:{s,s} other:{s,s} last_updated:d other_config:{s,s}!
    live:b can_use_hotplug_vbd:s can_use_hotplug_vif:s PV_drivers_detected:b
VMPP = uuid:s name_label:s! name_description:s! is_policy_enabled:b! backup_type:s! backup_retention_value:i
    backup_frequency:s backup_schedule:{s,s} is_backup_running:b backup_last_run_time:d archive_target_type:s
    archive_target_config:{s,s} archive_frequency:s archive_schedule:{s,s} is_archive_running:b
    archive_last_run_time:d VMs:[VM] is_alarm_enabled:b alarm_config:{s,s} recent_alerts:[s]
VMSS = uuid:s name_label:s! name_description:s! enabled:b! type:s retained_snapshots:i frequency:s schedule:{s,s}
    last_run_time:d VMs:[VM]
VM_appliance = uuid:s name_label:s! name_description:s! allowed_operations:[s] current_operations:{s,s} VMs:[VM]
DR_task = uuid:s introduced_SRs:[SR]
host = uuid:s name_label:s! name_description:s! memory_overhead:i allowed_operations:[s] current_operations:{s,s}
    API_version_major:i API_version_minor:i API_version_vendor:s API_version_vendor_implementation:{s,s} enabled:b
    software_version:{s,s} other_config:{s,s}! capabilities:[s] cpu_configuration:{s,s} sched_policy:s
    supported_bootloaders:[s] resident_VMs:[VM] logging:{s,s}! PIFs:[PIF] suspend_image_sr:SR! crash_dump_sr:SR!
    crashdumps:[host_crashdump] patches:[host_patch] updates:[pool_update] PBDs:[PBD] host_CPUs:[host_cpu]
    cpu_info:{s,s} hostname:s! address:s! metrics:host_metrics license_params:{s,s} ha_statefiles:[s]
    ha_network_peers:[s] blobs:{s,blob} tags:[s]! external_auth_type:s external_auth_service_name:s
    external_auth_configuration:{s,s} edition:s license_server:{s,s}! bios_strings:{s,s} power_on_mode:s
    power_on_config:{s,s} local_cache_sr:SR chipset_info:{s,s} PCIs:[PCI] PGPUs:[PGPU] PUSBs:[PUSB] ssl_legacy:b!
    guest_VCPUs_params:{s,s}! display:s! virtual_hardware_platform_versions:[i] control_domain:VM
    updates_requiring_reboot:[pool_update] features:[Feature] iscsi_iqn:s! multipathing:b! uefi_certificates:s
    certificates:[Certificate] editions:[s] pending_guidances:[s] tls_verification_enabled:b last_software_update:d
    https_only:b latest_synced_updates_applied:s numa_affinity_policy:s! pending_guidances_recommended:[s]
    pending_guidances_full:[s] last_update_hash:s
host_crashdump = uuid:s host:host timestamp:d size:i other_config:{s,s}!
host_patch = uuid:s name_label:s name_description:s version:s host:host applied:b timestamp_applied:d size:i
    pool_patch:pool_patch other_config:{s,s}!
host_metrics = uuid:s memory_total:i memory_free:i live:b last_updated:d other_config:{s,s}!
host_cpu = uuid:s host:host number:i vendor:s speed:i modelname:s family:i model:i stepping:s flags:s features:s
    utilisation:f other_config:{s,s}!
network = uuid:s name_label:s! name_description:s! allowed_operations:[s] current_operations:{s,s} VIFs:[VIF]
    PIFs:[PIF] MTU:i! other_config:{s,s}! bridge:s managed:b blobs:{s,blob} tags:[s]! default_locking_mode:s!
    assigned_ips:{VIF,s} purpose:[s]
VIF = uuid:s allowed_operations:[s] current_operations:{s,s} device:s network:network VM:VM MAC:s MTU:i
    other_config:{s,s}! currently_attached:b status_code:i status_detail:s runtime_properties:{s,s}
    qos_algorithm_type:s! qos_algorithm_params:{s,s}! qos_supported_algorithms:[s] metrics:VIF_metrics
    MAC_autogenerated:b locking_mode:s! ipv4_allowed:[s]! ipv6_allowed:[s]! ipv4_configuration_mode:s
    ipv4_addresses:[s] ipv4_gateway:s ipv6_configuration_mode:s ipv6_addresses:[s] ipv6_gateway:s
VIF_metrics = uuid:s io_read_kbs:f io_write_kbs:f last_updated:d other_config:{s,s}!
PIF = uuid:s device:s network:network host:host MAC:s MTU:i VLAN:i metrics:PIF_metrics physical:b
    currently_attached:b ip_configuration_mode:s IP:s netmask:s gateway:s DNS:s bond_slave_of:Bond
    bond_master_of:[Bond] VLAN_master_of:VLAN VLAN_slave_of:[VLAN] management:b other_config:{s,s}!
    disallow_unplug:b! tunnel_access_PIF_of:[tunnel] tunnel_transport_PIF_of:[tunnel] ipv6_configuration_mode:s
    IPv6:[s] ipv6_gateway:s primary_address_type:s managed:b properties:{s,s} capabilities:[s]
    igmp_snooping_status:s sriov_physical_PIF_of:[network_sriov] sriov_logical_PIF_of:[network_sriov] PCI:PCI
PIF_metrics = uuid:s io_read_kbs:f io_write_kbs:f carrier:b vendor_id:s vendor_name:s device_id:s device_name:s
    speed:i duplex:b pci_bus_path:s last_updated:d other_config:{s,s}!
Bond = uuid:s master:PIF slaves:[PIF] other_config:{s,s}! primary_slave:PIF mode:s properties:{s,s} links_up:i
    auto_update_mac:b
VLAN = uuid:s tagged_PIF:PIF untagged_PIF:PIF tag:i other_config:{s,s}!
SM = uuid:s name_label:s name_description:s type:s vendor:s copyright:s version:s required_api_version:s
    configuration:{s,s} capabilities:[s] features:{s,i} other_config:{s,s}! driver_filename:s
    required_cluster_stack:[s]
SR = uuid:s name_label:s! name_description:s! allowed_operations:[s] current_operations:{s,s} VDIs:[VDI] PBDs:[PBD]
    virtual_allocation:i physical_utilisation:i physical_size:i! type:s content_type:s shared:b! other_config:{s,s}!
    tags:[s]! sm_config:{s,s}! blobs:{s,blob} local_cache_enabled:b introduced_by:DR_task clustered:b is_tools_sr:b
VDI = uuid:s name_label:s! name_description:s! allowed_operations:[s] current_operations:{s,s} SR:SR VBDs:[VBD]
    crash_dumps:[crashdump] virtual_size:i physical_utilisation:i type:s sharable:b! read_only:b!
    other_config:{s,s}! storage_lock:b location:s managed:b missing:b parent:VDI xenstore_data:{s,s}!
    sm_config:{s,s}! is_a_snapshot:b snapshot_of:VDI snapshots:[VDI] snapshot_time:d tags:[s]! allow_caching:b!
    on_boot:s! metadata_of_pool:pool metadata_latest:b is_tools_iso:b cbt_enabled:b
VBD = uuid:s allowed_operations:[s] current_operations:{s,s} VM:VM VDI:VDI device:s userdevice:s! bootable:b!
    mode:s! type:s! unpluggable:b! storage_lock:b empty:b other_config:{s,s}! currently_attached:b status_code:i
    status_detail:s runtime_properties:{s,s} qos_algorithm_type:s! qos_algorithm_params:{s,s}!
    qos_supported_algorithms:[s] metrics:VBD_metrics
VBD_metrics = uuid:s io_read_kbs:f io_write_kbs:f last_updated:d other_config:{s,s}!
PBD = uuid:s host:host SR:SR device_config:{s,s}! currently_attached:b other_config:{s,s}!
crashdump = uuid:s VM:VM VDI:VDI other_config:{s,s}!
VTPM = uuid:s allowed_operations:[s] current_operations:{s,s} VM:VM backend:VM persistence_backend:s is_unique:b
    is_protected:b
console = uuid:s protocol:s location:s VM:VM other_config:{s,s}!
user = uuid:s short_name:s fullname:s! other_config:{s,s}!
blob = uuid:s name_label:s! name_description:s! size:i public:b! last_updated:d mime_type:s
message = uuid:s name:s priority:i cls:s obj_uuid:s timestamp:d body:s
secret = uuid:s value:s! other_config:{s,s}!
tunnel = uuid:s access_PIF:PIF transport_PIF:PIF status:{s,s}! other_config:{s,s}! protocol:s!
network_sriov = uuid:s physical_PIF:PIF logical_PIF:PIF requires_reboot:b configuration_mode:s
PCI = uuid:s class_name:s vendor_name:s device_name:s host:host pci_id:s dependencies:[PCI] other_config:{s,s}!
    subsystem_vendor_name:s subsystem_device_name:s driver_name:s
PGPU = uuid:s PCI:PCI GPU_group:GPU_group host:host other_config:{s,s}! supported_VGPU_types:[VGPU_type]
    enabled_VGPU_types:[VGPU_type] resident_VGPUs:[VGPU] supported_VGPU_max_capacities:{VGPU_type,i} dom0_access:s
    is_system_display_device:b compatibility_metadata:{s,s}
GPU_group = uuid:s name_label:s! name_description:s! PGPUs:[PGPU] VGPUs:[VGPU] GPU_types:[s] other_config:{s,s}!
    allocation_algorithm:s! supported_VGPU_types:[VGPU_type] enabled_VGPU_types:[VGPU_type]
VGPU = uuid:s VM:VM GPU_group:GPU_group device:s currently_attached:b other_config:{s,s}! type:VGPU_type
    resident_on:PGPU scheduled_to_be_resident_on:PGPU compatibility_metadata:{s,s} extra_args:s! PCI:PCI
VGPU_type = uuid:s vendor_name:s model_name:s framebuffer_size:i max_heads:i max_resolution_x:i max_resolution_y:i
    supported_on_PGPUs:[PGPU] enabled_on_PGPUs:[PGPU] VGPUs:[VGPU] supported_on_GPU_groups:[GPU_group]
    enabled_on_GPU_groups:[GPU_group] implementation:s identifier:s experimental:b
    compatible_types_in_vm:[VGPU_type]
PVS_site = uuid:s name_label:s! name_description:s! PVS_uuid:s cache_storage:[PVS_cache_storage]
    servers:[PVS_server] proxies:[PVS_proxy]
PVS_server = uuid:s addresses:[s] first_port:i last_port:i site:PVS_site
PVS_proxy = uuid:s site:PVS_site VIF:VIF currently_attached:b status:s
PVS_cache_storage = uuid:s host:host SR:SR site:PVS_site size:i VDI:VDI
Feature = uuid:s name_label:s name_description:s enabled:b experimental:b version:s host:host
SDN_controller = uuid:s protocol:s address:s port:i
PUSB = uuid:s USB_group:USB_group host:host path:s vendor_id:s vendor_desc:s product_id:s product_desc:s serial:s
    version:s description:s passthrough_enabled:b other_config:{s,s}! speed:f
USB_group = uuid:s name_label:s! name_description:s! PUSBs:[PUSB] VUSBs:[VUSB] other_config:{s,s}!
VUSB = uuid:s allowed_operations:[s] current_operations:{s,s} VM:VM USB_group:USB_group other_config:{s,s}!
    currently_attached:b
Cluster = uuid:s cluster_hosts:[Cluster_host] pending_forget:[s] cluster_token:s cluster_stack:s is_quorate:b
    quorum:i live_hosts:i allowed_operations:[s] current_operations:{s,s} pool_auto_join:b token_timeout:f
    token_timeout_coefficient:f cluster_config:{s,s} other_config:{s,s}!
Cluster_host = uuid:s cluster:Cluster host:host enabled:b PIF:PIF joined:b live:b last_update_live:d
    allowed_operations:[s] current_operations:{s,s} other_config:{s,s}
Certificate = uuid:s name:s type:s host:host not_before:d not_after:d fingerprint:s
Repository = uuid:s name_label:s! name_description:s! binary_url:s source_url:s update:b hash:s up_to_date:b
    gpgkey_path:s
Observer = uuid:s name_label:s! name_description:s! hosts:[host] attributes:{s,s} endpoints:[s] components:[s]
    enabled:b
"""
