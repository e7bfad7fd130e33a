// A client of the govmomi library: logs in, lists, works a VM, exports one. Says what it saw as one JSON object.
//   govmomi-client -url https://host:port/sdk -user U -pass P -vm NAME
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/url"
	"os"
	"sort"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func finish(ctx context.Context, task *object.Task, err error) *types.TaskInfo {
	must(err)
	info, err := task.WaitForResult(ctx, nil)
	must(err)
	return info
}

func main() {
	where, user, pass, name := flag.String("url", "", "server"), flag.String("user", "", ""), flag.String("pass", "", ""), flag.String("vm", "", "a VM that is off")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	u, err := soap.ParseURL(*where)
	must(err)
	u.User = url.UserPassword(*user, *pass)
	client, err := govmomi.NewClient(ctx, u, true)
	must(err)
	saw := map[string]interface{}{"about": client.ServiceContent.About.FullName, "api": client.ServiceContent.About.ApiVersion}

	views, err := view.NewManager(client.Client).CreateContainerView(ctx, client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	must(err)
	var vms []mo.VirtualMachine
	must(views.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "summary", "config", "guest", "snapshot"}, &vms))
	names := []string{}
	for _, vm := range vms {
		names = append(names, vm.Name)
	}
	sort.Strings(names)
	saw["vms"] = names

	finder := find.NewFinder(client.Client)
	datacenter, err := finder.DefaultDatacenter(ctx)
	must(err)
	finder.SetDatacenter(datacenter)
	hosts, err := finder.HostSystemList(ctx, "*/*")
	must(err)
	saw["hosts"] = len(hosts)

	var vm *object.VirtualMachine
	for _, one := range vms {
		if one.Name == *name {
			vm = object.NewVirtualMachine(client.Client, one.Self)
		}
	}
	if vm == nil {
		log.Fatalf("no VM %s", *name)
	}
	task, err := vm.PowerOn(ctx)
	finish(ctx, task, err)
	state, err := vm.PowerState(ctx)
	must(err)
	saw["on"] = string(state)
	_, err = vm.PowerOn(ctx)
	if err == nil {
		again, _ := vm.PowerOn(ctx)
		err = again.Wait(ctx)
	}
	saw["again"] = err.Error()
	task, err = vm.CreateSnapshot(ctx, "by govmomi", "a <snapshot>", false, false)
	made := finish(ctx, task, err)
	saw["snapshot"] = made.Result.(types.ManagedObjectReference).Type
	task, err = vm.RevertToSnapshot(ctx, "by govmomi", false)
	finish(ctx, task, err)
	task, err = vm.RemoveAllSnapshot(ctx, nil)
	finish(ctx, task, err)
	must(property.Wait(ctx, property.DefaultCollector(client.Client), vm.Reference(), []string{"runtime.powerState"}, func(changes []types.PropertyChange) bool {
		return len(changes) > 0
	}))
	if state, _ = vm.PowerState(ctx); state == types.VirtualMachinePowerStatePoweredOn {
		task, err = vm.PowerOff(ctx)
		finish(ctx, task, err)
	}
	lease, err := vm.Export(ctx)
	must(err)
	info, err := lease.Wait(ctx, nil)
	must(err)
	var size int64
	for _, item := range info.Items {
		body, _, err := client.Client.Download(ctx, item.URL, &soap.DefaultDownload)
		must(err)
		n, err := io.Copy(io.Discard, body)
		must(err)
		body.Close()
		size += n
	}
	must(lease.Complete(ctx))
	saw["exported"] = size
	must(client.Logout(ctx))
	must(json.NewEncoder(os.Stdout).Encode(saw))
}
