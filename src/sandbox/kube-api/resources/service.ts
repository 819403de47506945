import { isIP } from 'node:net';
import {
  equal,
  type JsonObject,
  type KubeObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  textAt,
} from '../json.ts';
import { type Cause, StatusError, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define, type Surroundings } from './definition.ts';
import { addressesOf } from './ingress.ts';
import { checkName, checkPortNumber, checkPortNumberOrName } from './names.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];

export const services = define({
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  model: 'V1Service',
  createsOnUpdate: true,
  hasStatus: true,
  returnsDeleted: true,
  nameRule: 'label',
  columns: [
    ...['Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age'].map((name) => column(name)),
    column('Selector', 'wide'),
  ],
  row: (service, nowMs) => [
    service.metadata.name,
    textAt(service, 'spec', 'type'),
    textAt(service, 'spec', 'clusterIP') || '<none>',
    externalAddress(service),
    portsOf(service),
    ageOf(service.metadata.creationTimestamp, nowMs),
    selectorText(objectAt(service, 'spec', 'selector')),
  ],
  fieldLabels: {
    'spec.clusterIP': (service) => textAt(service, 'spec', 'clusterIP'),
    'spec.type': (service) => textAt(service, 'spec', 'type'),
  },
  setDefaults,
  prepare,
  validate,
});

/** `a=b,c=d` of a map, or `<none>`. */
function selectorText(selector: JsonObject): string {
  const terms = Object.keys(selector)
    .sort()
    .map((key) => `${key}=${String(selector[key])}`);
  return terms.length === 0 ? '<none>' : terms.join(',');
}

function externalAddress(service: KubeObject): string {
  const spec = objectAt(service, 'spec');
  if (spec.type === 'ExternalName') return textAt(spec, 'externalName');
  const external = listAt(spec, 'externalIPs').map(String);
  if (spec.type !== 'LoadBalancer') return external.join(',') || '<none>';
  const balanced = addressesOf(objectsAt(service, 'status', 'loadBalancer', 'ingress'));
  return [...(balanced === '' ? [] : [balanced]), ...external].join(',') || '<pending>';
}

function portsOf(service: KubeObject): string {
  const ports = objectsAt(service, 'spec', 'ports').map((port) => {
    const node = numberAt(port, 'nodePort');
    return `${port.port}${node === undefined ? '' : `:${node}`}/${textAt(port, 'protocol')}`;
  });
  return ports.join(',') || '<none>';
}

function setDefaults(service: JsonObject): void {
  setDefault(service, 'spec', {});
  const spec = objectAt(service, 'spec');
  setDefault(spec, 'sessionAffinity', 'None');
  setDefault(spec, 'type', 'ClusterIP');
  for (const port of objectsAt(spec, 'ports')) {
    setDefault(port, 'protocol', 'TCP');
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') {
      port.targetPort = port.port ?? 0;
    }
  }
  if (spec.sessionAffinity === 'ClientIP') {
    setDefault(spec, 'sessionAffinityConfig', { clientIP: { timeoutSeconds: 10_800 } });
  }
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') {
    setDefault(spec, 'externalTrafficPolicy', 'Cluster');
  }
  if (spec.type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
  if (spec.type !== 'ExternalName') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
}

/** Cluster IPs are kept over updates that leave them out, taken from the range, and given back by deletion. */
function prepare(service: KubeObject, old: KubeObject | null, { allocateClusterIp }: Surroundings): void {
  const spec = objectAt(service, 'spec');
  service.status = {
    ...objectAt(service, 'status'),
    loadBalancer: objectAt(service, 'status', 'loadBalancer'),
  };
  const needsIp = spec.type !== 'ExternalName';
  const before = objectAt(old ?? {}, 'spec');
  if (!needsIp) {
    delete spec.internalTrafficPolicy;
    if (spec.clusterIP === before.clusterIP) {
      for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[key];
    }
    return;
  }
  if (!textAt(spec, 'clusterIP')) spec.clusterIP = listAt(spec, 'clusterIPs')[0] ?? before.clusterIP ?? '';
  const wanted = textAt(spec, 'clusterIP');
  if (wanted !== 'None' && wanted !== before.clusterIP && (wanted === '' || !textAt(before, 'clusterIP'))) {
    const given = allocateClusterIp(wanted, service.metadata.uid);
    if (given === null) {
      const says = `failed to allocate IP ${wanted}: the provided network does not match the current range or the address is taken`;
      throw new StatusError(
        422,
        'Invalid',
        `Service "${service.metadata.name}" is invalid: spec.clusterIPs: Invalid value: ["${wanted}"]: ${says}`,
        {
          name: service.metadata.name,
          kind: 'Service',
          causes: [{ ...wrong.invalid('spec.clusterIPs', [wanted], says) }],
        },
      );
    }
    spec.clusterIP = given;
  }
  // A new `clusterIP` beside the old list means that one, as clients knew it before there was a list.
  if (spec.clusterIP !== before.clusterIP && equal(spec.clusterIPs, before.clusterIPs))
    delete spec.clusterIPs;
  setDefault(spec, 'clusterIPs', [spec.clusterIP ?? '']);
  setDefault(spec, 'ipFamilies', ['IPv4']);
  setDefault(spec, 'ipFamilyPolicy', 'SingleStack');
}

function validate(service: KubeObject, old: KubeObject | null): Cause[] {
  const spec = objectAt(service, 'spec');
  const before = objectAt(old ?? {}, 'spec');
  const ports = objectsAt(spec, 'ports');
  const causes: Cause[] = [];
  const type = textAt(spec, 'type');
  const clusterIp = textAt(spec, 'clusterIP');
  if (!types.includes(type)) causes.push(wrong.unsupported('spec.type', type, types));
  if (ports.length === 0 && clusterIp !== 'None' && type !== 'ExternalName') {
    causes.push(wrong.required('spec.ports'));
  }
  if (type === 'ExternalName') {
    const externalName = textAt(spec, 'externalName').replace(/\.$/, '');
    causes.push(
      ...(externalName === ''
        ? [wrong.required('spec.externalName')]
        : checkName('subdomain', externalName, 'spec.externalName')),
    );
    if (clusterIp !== '') {
      causes.push(wrong.forbidden('spec.clusterIPs[0]', 'may not be set for ExternalName services'));
    }
  } else {
    if (clusterIp !== 'None' && isIP(clusterIp) === 0) {
      causes.push(
        wrong.invalid(
          'spec.clusterIPs[0]',
          clusterIp,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      );
    }
    if (listAt(spec, 'clusterIPs')[0] !== clusterIp) {
      causes.push(
        wrong.invalid('spec.clusterIPs', listAt(spec, 'clusterIPs'), 'first value must match `clusterIP`'),
      );
    }
    const held = textAt(before, 'clusterIP');
    if (old !== null && before.type !== 'ExternalName' && held !== '' && held !== clusterIp) {
      causes.push(wrong.invalid('spec.clusterIPs[0]', [clusterIp], 'may not change once set'));
    }
  }
  if (!['ClientIP', 'None'].includes(textAt(spec, 'sessionAffinity'))) {
    causes.push(wrong.unsupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']));
  }
  const names = new Set<string>();
  const pairs = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    const name = textAt(port, 'name');
    if (name === '' && ports.length > 1) causes.push(wrong.required(`${field}.name`));
    if (name !== '') {
      causes.push(...checkName('label', name, `${field}.name`));
      if (names.has(name)) causes.push(wrong.duplicate(`${field}.name`, name));
      names.add(name);
    }
    causes.push(...checkPortNumber(port.port, `${field}.port`));
    if (!protocols.includes(textAt(port, 'protocol'))) {
      causes.push(wrong.unsupported(`${field}.protocol`, port.protocol, protocols));
    }
    causes.push(...checkPortNumberOrName(port.targetPort, `${field}.targetPort`));
    const pair = `${port.port}/${textAt(port, 'protocol')}`;
    if (pairs.has(pair)) {
      causes.push(
        wrong.duplicate(field, {
          Name: '',
          Protocol: port.protocol ?? null,
          AppProtocol: null,
          Port: port.port ?? 0,
          TargetPort: 0,
          NodePort: 0,
        }),
      );
    }
    pairs.add(pair);
  }
  return causes;
}
