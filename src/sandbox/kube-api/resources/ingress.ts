import { isIP } from 'node:net';
import { type JsonObject, type KubeObject, listAt, objectAt, objectsAt, textAt } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { ageOf } from '../view/duration.ts';
import { column, define } from './definition.ts';
import { checkHost, checkName, checkPortName, checkPortNumber } from './names.ts';

const group = 'networking.k8s.io';
const classAnnotation = 'kubernetes.io/ingress.class';
const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const forbiddenInPath = ['//', '/./', '/../', '%2f', '%2F'];
const forbiddenAtPathEnd = ['/..', '/.'];

export const ingresses = define({
  group,
  kind: 'Ingress',
  plural: 'ingresses',
  shortNames: ['ing'],
  model: 'V1Ingress',
  hasStatus: true,
  countsGenerations: true,
  columns: ['Name', 'Class', 'Hosts', 'Address', 'Ports', 'Age'].map((name) => column(name)),
  row: (ingress, nowMs) => [
    ingress.metadata.name,
    textAt(ingress, 'spec', 'ingressClassName') || '<none>',
    hostsOf(ingress),
    addressesOf(objectsAt(ingress, 'status', 'loadBalancer', 'ingress')),
    listAt(ingress, 'spec', 'tls').length > 0 ? '80, 443' : '80',
    ageOf(ingress.metadata.creationTimestamp, nowMs),
  ],
  prepare: (ingress) => {
    ingress.status = objectAt(ingress, 'status');
    ingress.status.loadBalancer = objectAt(ingress, 'status', 'loadBalancer');
  },
  warnings: ({ metadata }) =>
    metadata.annotations?.[classAnnotation] === undefined
      ? []
      : [`annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`],
  validate: (ingress, old) => [...checkSpec(ingress), ...checkStatus(ingress), ...checkClass(ingress, old)],
});

export const ingressClasses = define({
  group,
  kind: 'IngressClass',
  plural: 'ingressclasses',
  model: 'V1IngressClass',
  namespaced: false,
  countsGenerations: true,
  columns: ['Name', 'Controller', 'Parameters', 'Age'].map((name) => column(name)),
  row: (ingressClass, nowMs) => {
    const parameters = objectAt(ingressClass, 'spec', 'parameters');
    const kind = [textAt(parameters, 'kind'), textAt(parameters, 'apiGroup')].filter((part) => part !== '');
    return [
      ingressClass.metadata.name,
      textAt(ingressClass, 'spec', 'controller'),
      kind.length === 0 ? '<none>' : `${kind.join('.')}/${textAt(parameters, 'name')}`,
      ageOf(ingressClass.metadata.creationTimestamp, nowMs),
    ];
  },
  validate: (ingressClass) =>
    textAt(ingressClass, 'spec', 'controller') === '' ? [wrong.required('spec.controller')] : [],
});

/** Addresses of a load balancer status as tables show them; Services have the same. */
export function addressesOf(points: readonly JsonObject[]): string {
  const addresses = points.map((point) => textAt(point, 'ip') || textAt(point, 'hostname'));
  return [...new Set(addresses.filter((address) => address !== ''))].sort().join(',');
}

function hostsOf(ingress: KubeObject): string {
  const rules = objectsAt(ingress, 'spec', 'rules');
  const shown = 3;
  const hosts = rules.map((rule) => textAt(rule, 'host')).filter((host) => host !== '');
  if (hosts.length === 0) return '*';
  const listed = hosts.slice(0, shown).join(',');
  return hosts.length >= shown && rules.length > shown
    ? `${listed} + ${rules.length - shown} more...`
    : listed;
}

function checkSpec(ingress: KubeObject): Cause[] {
  const spec = objectAt(ingress, 'spec');
  const rules = objectsAt(spec, 'rules');
  const causes: Cause[] = [];
  if (rules.length === 0 && spec.defaultBackend === undefined) {
    causes.push(wrong.invalid('spec', null, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (spec.defaultBackend !== undefined) {
    causes.push(...checkBackend(objectAt(spec, 'defaultBackend'), 'spec.defaultBackend'));
  }
  for (const [index, rule] of rules.entries()) {
    const field = `spec.rules[${index}]`;
    const host = textAt(rule, 'host');
    if (host !== '') causes.push(...checkHost(host, `${field}.host`));
    if (rule.http !== undefined) causes.push(...checkPaths(objectAt(rule, 'http'), `${field}.http.paths`));
  }
  for (const [index, tls] of objectsAt(spec, 'tls').entries()) {
    const field = `spec.tls[${index}]`;
    for (const [at, host] of listAt(tls, 'hosts').entries()) {
      const rule = String(host).includes('*') ? 'wildcard' : 'subdomain';
      causes.push(...checkName(rule, String(host), `${field}.hosts[${at}]`));
    }
    const secret = textAt(tls, 'secretName');
    if (secret !== '') causes.push(...checkName('subdomain', secret, `${field}.secretName`));
  }
  if (typeof spec.ingressClassName === 'string') {
    causes.push(...checkName('subdomain', spec.ingressClassName, 'spec.ingressClassName'));
  }
  return causes;
}

function checkPaths(http: JsonObject, field: string): Cause[] {
  const paths = objectsAt(http, 'paths');
  if (paths.length === 0) return [wrong.required(field)];
  return paths.flatMap((path, index) => checkPath(path, `${field}[${index}]`));
}

function checkPath(entry: JsonObject, field: string): Cause[] {
  const path = textAt(entry, 'path');
  const notAbsolute = wrong.invalid(`${field}.path`, path, 'must be an absolute path');
  const causes: Cause[] = [];
  switch (entry.pathType) {
    case undefined:
      return [wrong.required(`${field}.pathType`, 'pathType must be specified')];
    case 'Exact':
    case 'Prefix':
      if (!path.startsWith('/')) causes.push(notAbsolute);
      for (const part of forbiddenInPath) {
        if (path.includes(part))
          causes.push(wrong.invalid(`${field}.path`, path, `must not contain '${part}'`));
      }
      for (const end of forbiddenAtPathEnd) {
        if (path.endsWith(end)) causes.push(wrong.invalid(`${field}.path`, path, `cannot end with '${end}'`));
      }
      break;
    case 'ImplementationSpecific':
      if (path !== '' && !path.startsWith('/')) causes.push(notAbsolute);
      break;
    default:
      return [
        wrong.unsupported(`${field}.pathType`, entry.pathType, ['Exact', 'ImplementationSpecific', 'Prefix']),
      ];
  }
  return [...causes, ...checkBackend(objectAt(entry, 'backend'), `${field}.backend`)];
}

function checkBackend(backend: JsonObject, field: string): Cause[] {
  if (backend.resource !== undefined && backend.service !== undefined) {
    return [wrong.invalid(field, '', 'cannot set both resource and service backends')];
  }
  if (backend.resource !== undefined) {
    const resource = objectAt(backend, 'resource');
    return ['kind', 'name']
      .filter((key) => textAt(resource, key) === '')
      .map((key) => wrong.required(`${field}.resource.${key}`));
  }
  if (backend.service === undefined) {
    return [wrong.invalid(field, '', 'resource or service backend is required')];
  }
  const name = textAt(backend, 'service', 'name');
  const port = objectAt(backend, 'service', 'port');
  const portName = textAt(port, 'name');
  const portNumber = port.number ?? 0;
  const causes =
    name === ''
      ? [wrong.required(`${field}.service.name`)]
      : checkName('label', name, `${field}.service.name`);
  if (portName !== '' && portNumber !== 0) {
    causes.push(wrong.invalid(field, '', 'cannot set both port name & port number'));
  } else if (portName !== '') {
    causes.push(...checkPortName(portName, `${field}.service.port.name`));
  } else if (portNumber !== 0) {
    causes.push(...checkPortNumber(portNumber, `${field}.service.port.number`));
  } else {
    causes.push(wrong.required(field, 'port name or number is required'));
  }
  return causes;
}

function checkClass(ingress: KubeObject, old: KubeObject | null): Cause[] {
  const annotated = ingress.metadata.annotations?.[classAnnotation];
  const className = objectAt(ingress, 'spec').ingressClassName;
  if (old !== null || annotated === undefined || className === undefined || annotated === className)
    return [];
  return [
    wrong.invalid(
      `annotations.${classAnnotation}`,
      annotated,
      'must match `ingressClassName` when both are specified',
    ),
  ];
}

function checkStatus(ingress: KubeObject): Cause[] {
  return objectsAt(ingress, 'status', 'loadBalancer', 'ingress').flatMap((point, index) => {
    const field = `status.loadBalancer.ingress[${index}]`;
    const [ip, hostname] = [textAt(point, 'ip'), textAt(point, 'hostname')];
    return [
      ...(ip === '' || isIP(ip) ? [] : [wrong.invalid(`${field}.ip`, ip, notAnAddress)]),
      ...(hostname === '' ? [] : checkHost(hostname, `${field}.hostname`)),
    ];
  });
}
