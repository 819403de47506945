import { isIP, isIPv4, isIPv6 } from 'node:net';
import {
  equal,
  type JsonObject,
  type KubeObject,
  listAt,
  objectAt,
  objectsAt,
  setDefault,
  textAt,
} from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { checkName } from './names.ts';

const maxEndpoints = 1000;
const maxAddresses = 100;
const maxPorts = 20_000;
const addressTypes = ['FQDN', 'IPv4', 'IPv6'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const shown = 3;

export const endpointSlices = define({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  model: 'V1EndpointSlice',
  countsGenerations: true,
  columns: ['Name', 'AddressType', 'Ports', 'Endpoints', 'Age'].map((name) => column(name)),
  row: (slice, nowMs) => [
    slice.metadata.name,
    textAt(slice, 'addressType'),
    firstOf(objectsAt(slice, 'ports').map((port) => String(port.port ?? (textAt(port, 'name') || '*')))),
    firstOf(objectsAt(slice, 'endpoints').flatMap((endpoint) => listAt(endpoint, 'addresses').map(String))),
    ageOf(slice.metadata.creationTimestamp, nowMs),
  ],
  setDefaults: (slice) => {
    setDefault(slice, 'endpoints', null);
    setDefault(slice, 'ports', null);
    for (const endpoint of objectsAt(slice, 'endpoints')) setDefault(endpoint, 'conditions', {});
    for (const port of objectsAt(slice, 'ports')) {
      setDefault(port, 'name', '');
      setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: (slice, old) => [
    ...checkAddressType(slice, old),
    ...checkPorts(objectsAt(slice, 'ports')),
    ...(old !== null && equal(old.endpoints, slice.endpoints)
      ? []
      : checkEndpoints(objectsAt(slice, 'endpoints'), textAt(slice, 'addressType'))),
  ],
});

export const endpoints = define({
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  model: 'V1Endpoints',
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  createsOnUpdate: true,
  columns: ['Name', 'Endpoints', 'Age'].map((name) => column(name)),
  row: (object, nowMs) => [
    object.metadata.name,
    firstOf(objectsAt(object, 'subsets').flatMap(subsetAddresses), '<none>'),
    ageOf(object.metadata.creationTimestamp, nowMs),
  ],
  setDefaults: (object) => {
    for (const subset of objectsAt(object, 'subsets')) {
      for (const port of objectsAt(subset, 'ports')) setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: (object) =>
    objectsAt(object, 'subsets').flatMap((subset, index) => {
      const both = [...objectsAt(subset, 'addresses'), ...objectsAt(subset, 'notReadyAddresses')];
      if (both.length === 0) {
        return [wrong.required(`subsets[${index}]`, 'must specify `addresses` or `notReadyAddresses`')];
      }
      return both.flatMap((address, at) =>
        isIP(textAt(address, 'ip')) === 0
          ? [wrong.invalid(`subsets[${index}].addresses[${at}].ip`, textAt(address, 'ip'), invalidIp)]
          : [],
      );
    }),
});

const invalidIp = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

function subsetAddresses(subset: JsonObject): string[] {
  const addresses = objectsAt(subset, 'addresses').map((address) => textAt(address, 'ip'));
  const ports = objectsAt(subset, 'ports');
  if (ports.length === 0) return addresses;
  return ports.flatMap((port) => addresses.map((address) => `${address}:${String(port.port)}`));
}

function firstOf(items: readonly string[], none = '<unset>'): string {
  if (items.length === 0) return none;
  const listed = items.slice(0, shown).join(',');
  return items.length > shown ? `${listed} + ${items.length - shown} more...` : listed;
}

function checkAddressType(slice: KubeObject, old: KubeObject | null): Cause[] {
  const addressType = textAt(slice, 'addressType');
  if (addressType === '') return [wrong.required('addressType')];
  if (!addressTypes.includes(addressType))
    return [wrong.unsupported('addressType', addressType, addressTypes)];
  return old !== null && old.addressType !== addressType
    ? [wrong.invalid('addressType', addressType, 'field is immutable')]
    : [];
}

function checkPorts(ports: readonly JsonObject[]): Cause[] {
  if (ports.length > maxPorts) return [wrong.tooMany('ports', ports.length, maxPorts)];
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const name = textAt(port, 'name');
    const causes = name === '' ? [] : checkName('label', name, `ports[${index}].name`);
    if (names.has(name)) causes.push(wrong.duplicate(`ports[${index}].name`, name));
    names.add(name);
    if (!protocols.includes(textAt(port, 'protocol'))) {
      causes.push(wrong.unsupported(`ports[${index}].protocol`, port.protocol, protocols));
    }
    return causes;
  });
}

function checkEndpoints(list: readonly JsonObject[], addressType: string): Cause[] {
  if (list.length > maxEndpoints) return [wrong.tooMany('endpoints', list.length, maxEndpoints)];
  return list.flatMap((endpoint, index) => {
    const field = `endpoints[${index}].addresses`;
    const addresses = listAt(endpoint, 'addresses').map(String);
    const causes: Cause[] = [];
    if (addresses.length === 0) causes.push(wrong.required(field, 'must contain at least 1 address'));
    if (addresses.length > maxAddresses) causes.push(wrong.tooMany(field, addresses.length, maxAddresses));
    for (const [at, address] of addresses.entries()) {
      causes.push(...checkAddress(address, addressType, field, at));
    }
    const hostname = objectAt(endpoint).hostname;
    if (typeof hostname === 'string') {
      causes.push(...checkName('label', hostname, `endpoints[${index}].hostname`));
    }
    return causes;
  });
}

/**
 * As the real server, except that loopback addresses are welcome: everything that the sandbox serves lives
 * on one machine.
 */
function checkAddress(address: string, addressType: string, field: string, at: number): Cause[] {
  switch (addressType) {
    case 'IPv4':
      if (isIP(address) === 0) return [wrong.invalid(`${field}[${at}]`, address, invalidIp)];
      return isIPv4(address) ? [] : [wrong.invalid(field, address, 'must be an IPv4 address')];
    case 'IPv6':
      if (isIP(address) === 0) return [wrong.invalid(`${field}[${at}]`, address, invalidIp)];
      return isIPv6(address) ? [] : [wrong.invalid(field, address, 'must be an IPv6 address')];
    default:
      return checkName('subdomain', address, `${field}[${at}]`);
  }
}
