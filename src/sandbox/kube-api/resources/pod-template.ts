import { type JsonObject, listAt, objectAt, objectsAt, setDefault, textAt } from '../json.ts';
import { type Cause, wrong } from '../status.ts';
import { checkName, checkPortNumber } from './names.ts';

/** What Pods and the templates of Deployments and ReplicaSets share. */

/** Fills in a PodSpec as the real server does. */
export function setPodDefaults(spec: JsonObject): void {
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'schedulerName', 'default-scheduler');
  if (spec.serviceAccountName !== undefined) setDefault(spec, 'serviceAccount', spec.serviceAccountName);
  for (const container of [...objectsAt(spec, 'initContainers'), ...objectsAt(spec, 'containers')]) {
    setContainerDefaults(container);
  }
  for (const volume of objectsAt(spec, 'volumes')) {
    for (const kind of ['secret', 'configMap', 'projected', 'downwardAPI']) {
      if (volume[kind] !== undefined) setDefault(objectAt(volume, kind), 'defaultMode', 0o644);
    }
  }
}

function setContainerDefaults(container: JsonObject): void {
  setDefault(container, 'resources', {});
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'imagePullPolicy', pullPolicyOf(textAt(container, 'image')));
  for (const port of objectsAt(container, 'ports')) setDefault(port, 'protocol', 'TCP');
  for (const variable of objectsAt(container, 'env')) {
    const reference = objectAt(variable, 'valueFrom', 'fieldRef');
    if (reference.fieldPath !== undefined) setDefault(reference, 'apiVersion', 'v1');
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    if (container[name] === undefined) continue;
    const probe = objectAt(container, name);
    setDefault(probe, 'timeoutSeconds', 1);
    setDefault(probe, 'periodSeconds', 10);
    setDefault(probe, 'successThreshold', 1);
    setDefault(probe, 'failureThreshold', 3);
    if (probe.httpGet !== undefined) {
      setDefault(objectAt(probe, 'httpGet'), 'path', '/');
      setDefault(objectAt(probe, 'httpGet'), 'scheme', 'HTTP');
    }
  }
}

/** An image without a tag, or with `latest`, is pulled every time. */
function pullPolicyOf(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  return image.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always';
}

export function checkPodSpec(spec: JsonObject, field: string): Cause[] {
  const containers = objectsAt(spec, 'containers');
  if (containers.length === 0) return [wrong.required(`${field}.containers`)];
  const names = new Set<string>();
  return containers.flatMap((container, index) => {
    const path = `${field}.containers[${index}]`;
    const name = textAt(container, 'name');
    const causes = name === '' ? [wrong.required(`${path}.name`)] : checkName('label', name, `${path}.name`);
    if (names.has(name)) causes.push(wrong.duplicate(`${path}.name`, name));
    names.add(name);
    if (textAt(container, 'image') === '') causes.push(wrong.required(`${path}.image`));
    for (const [at, port] of objectsAt(container, 'ports').entries()) {
      causes.push(...checkPortNumber(port.containerPort, `${path}.ports[${at}].containerPort`));
    }
    return causes;
  });
}

/** Names and images of a template's containers, for wide tables. */
export function containerCells(spec: JsonObject): [names: string, images: string] {
  const containers = objectsAt(spec, 'containers');
  return [
    containers.map((container) => textAt(container, 'name')).join(','),
    containers.map((container) => textAt(container, 'image')).join(','),
  ];
}

/** A LabelSelector as `a=b,c in (d,e)`. */
export function labelSelectorText(selector: JsonObject): string {
  const equalities = Object.entries(objectAt(selector, 'matchLabels')).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  const expressions = objectsAt(selector, 'matchExpressions').map((expression) => {
    const key = textAt(expression, 'key');
    const values = listAt(expression, 'values').map(String).sort().join(',');
    switch (expression.operator) {
      case 'Exists':
        return key;
      case 'DoesNotExist':
        return `!${key}`;
      case 'NotIn':
        return `${key} notin (${values})`;
      default:
        return `${key} in (${values})`;
    }
  });
  return [...equalities.sort(), ...expressions].join(',') || '<none>';
}

/** The selector of a controller must select its own template. */
export function checkTemplate(spec: JsonObject): Cause[] {
  const selector = objectAt(spec, 'selector', 'matchLabels');
  const labels = objectAt(spec, 'template', 'metadata', 'labels');
  const causes: Cause[] = [];
  if (spec.selector === undefined) causes.push(wrong.required('spec.selector'));
  if (spec.selector === undefined || Object.entries(selector).some(([key, value]) => labels[key] !== value)) {
    const shown = Object.keys(labels).length > 0 ? labels : null;
    causes.push(
      wrong.invalid('spec.template.metadata.labels', shown, '`selector` does not match template `labels`'),
    );
  }
  return [...causes, ...checkPodSpec(objectAt(spec, 'template', 'spec'), 'spec.template.spec')];
}
