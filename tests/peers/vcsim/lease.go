package main

// Export, which the simulator library of govmomi 0.24.2 lacks: ExportVm, its lease, the downloads, CreateDescriptor.

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const exportPath = "/nfc-export/"
const diskBytes = 3 << 20

var exports = struct {
	sync.Mutex
	open map[string]bool
}{open: map[string]bool{}}

var ovfFile = regexp.MustCompile(`<path>([^<]*)</path>\s*(?:<[^/][^>]*>[^<]*</[^>]*>\s*)*?<size>(\d+)</size>`)

// exportMethod answers the SOAP side; false if the method is not one of an export.
func exportMethod(w http.ResponseWriter, body []byte, method string, ref types.ManagedObjectReference) bool {
	switch method {
	case "ExportVm":
		vm, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine)
		if !ok {
			return false
		}
		if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
			soapFault(w, "InvalidPowerState", fmt.Sprintf("<requestedState>poweredOff</requestedState><existingState>%s</existingState>", vm.Runtime.PowerState), "power state")
			return true
		}
		lease := &mo.HttpNfcLease{State: types.HttpNfcLeaseStateReady}
		simulator.Map.Put(lease)
		yes := true
		lease.Info = &types.HttpNfcLeaseInfo{Lease: lease.Self, Entity: ref, LeaseTimeout: 300, TotalDiskCapacityInKB: diskBytes / 1024,
			DeviceUrl: []types.HttpNfcLeaseDeviceUrl{{Key: "/" + ref.Value + "/VirtualLsiLogicController0:0", Url: "https://*" + exportPath + lease.Self.Value + "/disk-0.vmdk", Disk: &yes, TargetId: "disk-0.vmdk"}}}
		exports.Lock()
		exports.open[lease.Self.Value] = true
		exports.Unlock()
		soapOut(w, 200, fmt.Sprintf(`<ExportVmResponse xmlns="urn:vim25"><returnval type="HttpNfcLease">%s</returnval></ExportVmResponse>`, lease.Self.Value))
		return true
	case "HttpNfcLeaseProgress", "HttpNfcLeaseComplete", "HttpNfcLeaseAbort":
		exports.Lock()
		ours := exports.open[ref.Value]
		if ours && method != "HttpNfcLeaseProgress" {
			delete(exports.open, ref.Value)
		}
		exports.Unlock()
		if ours {
			soapOut(w, 200, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"/>`, method))
		}
		return ours
	case "CreateDescriptor":
		var files, disks, items bytes.Buffer
		for i, found := range ovfFile.FindAllSubmatch(body, -1) {
			fmt.Fprintf(&files, `<File ovf:href="%s" ovf:id="file%d" ovf:size="%s"/>`, found[1], i+1, found[2])
			fmt.Fprintf(&disks, `<Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk%d" ovf:fileRef="file%d" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>`, i+1, i+1)
			fmt.Fprintf(&items, `<Item><rasd:AddressOnParent>%d</rasd:AddressOnParent><rasd:ElementName>Hard disk %d</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk%d</rasd:HostResource><rasd:InstanceID>%d</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>`, i, i+1, i+1, i+10)
		}
		text := fmt.Sprintf(descriptor, files.String(), disks.String(), items.String())
		escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
		soapOut(w, 200, `<CreateDescriptorResponse xmlns="urn:vim25"><returnval><ovfDescriptor>`+escaped+`</ovfDescriptor></returnval></CreateDescriptorResponse>`)
		return true
	}
	return false
}

// serveExport hands out the disks of open leases.
func serveExport(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, exportPath) {
		return false
	}
	id := strings.Split(strings.TrimPrefix(r.URL.Path, exportPath), "/")[0]
	exports.Lock()
	ok := exports.open[id]
	exports.Unlock()
	if !ok {
		http.NotFound(w, r)
		return true
	}
	piece := bytes.Repeat([]byte("vcsim disk "), 1<<10)
	for sent := 0; sent < diskBytes; {
		n := len(piece)
		if n > diskBytes-sent {
			n = diskBytes - sent
		}
		w.Write(piece[:n])
		sent += n
	}
	return true
}

const descriptor = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References>%s</References>
<DiskSection><Info>disks</Info>%s</DiskSection>
<NetworkSection><Info>networks</Info><Network ovf:name="VM Network"><Description>VM Network</Description></Network></NetworkSection>
<VirtualSystem ovf:id="vm"><Info>a machine</Info><Name>exported</Name>
<OperatingSystemSection ovf:id="1"><Info>guest</Info></OperatingSystemSection>
<VirtualHardwareSection><Info>hardware</Info>
<System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemIdentifier>vm</vssd:VirtualSystemIdentifier><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
<Item><rasd:ElementName>1 virtual CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>64MB of memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>
<Item><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI Controller 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
%s
</VirtualHardwareSection></VirtualSystem></Envelope>
`
