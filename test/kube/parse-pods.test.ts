import { expect } from 'chai';
import { parseSeenPod, parseSeenPods } from '../../src/kube/pods/parse-pods.ts';

/** A pod as a kubelet or a scheduler leaves it. */
function pod(status: object, deleted = false) {
  return parseSeenPod({
    metadata: {
      ...{ name: 'p', namespace: 'web', uid: 'u', resourceVersion: '1' },
      labels: { 'cloudflare-warp/host-hash': '0'.repeat(20) },
      ...(deleted && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    },
    status,
  });
}

const waiting = (reason: string, message: string, lastState = {}) => ({
  phase: 'Pending',
  containerStatuses: [{ name: 'tunnel', state: { waiting: { reason, message } }, lastState }],
});

it('pods that are refused are told of once Kubernetes has seen what is wanted now', () => {
  const refused = (observedGeneration: number) =>
    parseSeenPods({
      metadata: {
        ...{ name: 'd', namespace: 'web', uid: 'u', resourceVersion: '1', generation: 2 },
        annotations: { 'cloudflare-warp/host': 'app.example.com' },
      },
      spec: { replicas: 1 },
      status: {
        observedGeneration,
        conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }],
      },
    });
  expect(refused(2)?.trouble).to.deep.equal({
    kind: 'ReplicaFailure',
    text: 'no pod can be made: exceeded quota',
  });
  expect(refused(1)?.trouble).to.equal(null);
  expect([refused(2)?.areRefused, refused(1)?.areRefused]).to.deep.equal([true, false]);
});

it('a paused Deployment is told of, with what resumes it; nobody need ask again for its pods', () => {
  const seen = parseSeenPods({
    metadata: { name: 'd', generation: 2, annotations: { 'cloudflare-warp/host': 'app.example.com' } },
    spec: { replicas: 1, paused: true },
    status: {
      observedGeneration: 2,
      conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }],
    },
  });
  expect(seen?.trouble?.kind).to.equal('Paused');
  expect(seen?.trouble?.text).to.contain('"kubectl rollout resume deployment d"');
  expect(seen?.areRefused).to.equal(false);
});

it('a Deployment is autoscaled while the last to set the number of its pods was a HorizontalPodAutoscaler', () => {
  // As a kube-apiserver 1.36 and its controller manager write them.
  const ours = { manager: 'cloudflare-warp-ingress', operation: 'Apply' };
  const status = { manager: 'kube-controller-manager', operation: 'Update', subresource: 'status' };
  const autoscaler = { ...status, subresource: 'scale' };
  const user = { manager: 'kubectl', operation: 'Update', subresource: 'scale' };
  const seen = (...managedFields: object[]) => {
    const meta = { name: 'd', annotations: { 'cloudflare-warp/host': 'app.example.com' } };
    const { isAutoscaled, otherManagers } = parseSeenPods({
      metadata: { ...meta, managedFields },
      spec: {},
    })!;
    return { isAutoscaled, otherManagers };
  };
  expect(seen(ours, status)).to.deep.equal({ isAutoscaled: false, otherManagers: [] });
  expect(seen(ours, status, user)).to.deep.equal({ isAutoscaled: false, otherManagers: ['kubectl'] });
  expect(seen(ours, status, autoscaler)).to.deep.equal({
    isAutoscaled: true,
    otherManagers: ['kube-controller-manager'],
  });
});

describe('a tunnel pod', () => {
  for (const [name, status, kind, text] of [
    [
      'whose image cannot be pulled',
      waiting('ErrImagePull', 'no such host'),
      'ImagePullBackOff',
      'pod p: container "tunnel" waits: ErrImagePull, no such host',
    ],
    [
      'whose image is not asked for at the moment',
      waiting('ImagePullBackOff', 'Back-off pulling image "x"'),
      'ImagePullBackOff',
      'pod p: container "tunnel" waits: ImagePullBackOff, Back-off pulling image "x"',
    ],
    [
      'that ends again and again',
      waiting('CrashLoopBackOff', 'back-off 20s', { terminated: { reason: 'Error', exitCode: 1 } }),
      'CrashLoopBackOff',
      'pod p: container "tunnel" waits: CrashLoopBackOff, the last run ended with exit code 1 (Error); its log says why',
    ],
    [
      'that fits on no node',
      {
        phase: 'Pending',
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' },
        ],
      },
      'Unschedulable',
      'pod p: cannot be scheduled: 0/3 nodes',
    ],
  ] as const) {
    it(`${name} is in trouble`, () => {
      expect(pod(status)?.trouble).to.deep.equal({ kind, text });
      expect(pod(status, true)?.trouble, 'not while it is asked to end').to.equal(null);
    });
  }

  it('on its way is in none', () => {
    expect(pod(waiting('ContainerCreating', ''))?.trouble).to.equal(null);
    expect(pod({})?.trouble).to.equal(null);
  });

  it('is ready when Kubernetes says so', () => {
    const conditions = (status: string) => ({ phase: 'Running', conditions: [{ type: 'Ready', status }] });
    expect(pod(conditions('True'))).to.include({ isReady: true, phase: 'Running' });
    expect(pod(conditions('False'))).to.include({ isReady: false });
  });

  it('that has ended is none', () => {
    expect(pod({ phase: 'Failed' })).to.equal(null);
  });
});
