// Drives a XenAPI server with npm's xen-api and prints what it saw as one JSON line.
// Arguments: URL, user, password. Run by test_xapi_node.py with xen-api installed beside NODE_PATH's package.json.
import { createRequire } from 'node:module'

const require = createRequire(process.env.PEER_ROOT + '/package.json')
const { createClient } = require('xen-api')

const [url, user, password] = process.argv.slice(2)
const seen = {}

const xapi = createClient({ url, allowUnauthorized: true, auth: { user, password }, watchEvents: true })
const limit = setTimeout(() => {
  console.error('time is up', JSON.stringify(seen))
  process.exit(3)
}, 45_000)

async function body(response) {
  const chunks = []
  for await (const chunk of response.body ?? response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

try {
  await xapi.connect()
  await xapi.objectsFetched
  const all = Object.values(xapi.objects.all)
  const byName = name => all.find(object => object.$type === 'VM' && object.name_label === name && !object.is_a_snapshot)
  seen.pool = xapi.pool.name_label
  seen.master = xapi.pool.$master.name_label
  seen.vms = all.filter(object => object.$type === 'VM' && !object.is_a_template && !object.is_control_domain).length
  const vm = byName('web-01')
  seen.guestNetworks = vm.$guest_metrics.networks
  seen.memoryIsNumber = typeof vm.memory_static_max === 'number'

  const halted = new Promise(resolve => {
    xapi.objects.on('update', changed => {
      const now = changed[vm.$id]
      if (now?.power_state === 'Halted') resolve(now)
    })
  })
  await xapi.callAsync('VM.clean_shutdown', vm.$ref)
  seen.afterShutdown = (await halted).power_state

  const snapshotRef = await xapi.callAsync('VM.snapshot', vm.$ref, 'from node <&> "quoted"')
  seen.snapshotName = await xapi.getField('VM', snapshotRef, 'name_label')

  try {
    await xapi.callAsync('VM.clean_shutdown', vm.$ref)
  } catch (error) {
    seen.refusal = [error.code, error.params.slice(1)]
  }
  try {
    await xapi.call('VM.no_such_thing', vm.$ref)
  } catch (error) {
    seen.unknown = error.code
  }
  await xapi.setFieldEntry('VM', vm.$ref, 'other_config', 'node', 'was here')
  seen.otherConfig = (await xapi.getField('VM', vm.$ref, 'other_config')).node

  const query = { ref: vm.$ref, use_compression: 'false' }
  const response = await xapi.getResource('/export/', { query, task: await xapi.createTask('export', vm.name_label) })
  const archive = await body(response)
  seen.exported = archive.length
  await response.task
  const made = await xapi.putResource(archive, '/import/', { task: await xapi.createTask('import', 'again') })
  const imported = await xapi.getRecord('VM', Array.isArray(made) ? made[0] : String(made).match(/OpaqueRef:[-0-9a-f]+/)[0])
  seen.imported = imported.name_label
} catch (error) {
  seen.error = `${error.code ?? ''} ${error.stack ?? error}`
} finally {
  await xapi.disconnect().catch(() => undefined)
  clearTimeout(limit)
}
console.log(JSON.stringify(seen))
process.exit(0)
