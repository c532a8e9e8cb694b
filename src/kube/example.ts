// Run it with: node example.ts KUBECONFIG
import { createLog } from '../lib/log.ts';
import * as kube from './index.ts';

type Widget = kube.KubeObject & { readonly spec?: { readonly part?: string } };
const widgets: kube.Resource<Widget> = kube.resource('widgets.test/v1', 'Widget', 'widgets');
const name = 'widget-operator';
const log = createLog('info');
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const { client, namespace = 'default' } = await kube.connect({ kubeconfig: process.argv[2], userAgent: name });
const wanted = kube.createInformer({ client, resource: widgets, namespace, log });
const labelSelector = `made-by=${name}`;
const made = kube.createInformer({ client, resource: kube.configMaps, namespace, labelSelector, log });

/** Each Widget gets a ConfigMap that names its part. */
async function reconcile(key: kube.Key, { signal }: kube.ReconcileContext): Promise<kube.Result> {
  const widget = wanted.get(key);
  const data = { part: widget?.spec?.part ?? 'none' };
  if (widget === undefined || made.get(key)?.data?.part === data.part) return kube.done;
  const ownerReferences = [kube.ownerReference(widgets, widget)];
  const metadata = { ...kube.nameOfKey(key), labels: { 'made-by': name }, ownerReferences };
  made.wrote(await client.apply(kube.configMaps, { metadata, data }, { fieldManager: name, force: true, signal }));
  return kube.done;
}

const { settled } = made;
const controller = kube.createController({ name, reconcile, settled, backAgain: client.backAgain, log });
wanted.onChange((change) => kube.isNews(change) && controller.enqueue(change.key));
made.onChange((change) => controller.enqueueAll(kube.concerned(change, kube.ownedBy(widgets))));
const parts = { client, informers: [wanted, made], controllers: [controller], onStuck: () => process.exit(1), log };
await kube.runOperator({ ...parts, name, namespace, identity: `${process.pid}` }, stop.signal);
await client.close();
