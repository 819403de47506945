import { expect } from 'chai';
import type { RunFact } from '../../src/actors/ports.ts';
import { routesToUrl } from '../../src/domain/url-routes.ts';
import { fault } from '../../src/fault.ts';
import { PodRun } from '../../src/runners/pod-run.ts';

const host = 'app.example.com';
const address = '10.2.0.1';
const nobody = { follow: () => {}, stop: () => {}, kill: () => {} };

describe('a run of tunnel pods', () => {
  it('tells an attempt of a pod once, also when it could not be asked in between, and anew of another pod', () => {
    const facts: RunFact[] = [];
    const run = new PodRun(
      nobody,
      {
        ...{ host, ingress: 'web', haConnections: 4, place: { mode: 'pod', replicas: 1 } },
        tunnel: { accountId: 'account', id: 'tunnel', token: 'token' },
        routes: routesToUrl(host, 'http://10.0.0.1'),
      },
      true,
      (fact) => facts.push(fact),
    );
    const refusal = fault('edge-unauthorized', 'Unauthorized: Invalid tunnel secret');
    const answer = { accessProblem: null, edgeProblem: { connIndex: 0, fault: refusal, attempts: 3 } };
    const said = new Map([[address, answer]]);
    run.hearPods(said, [address], false);
    run.hearPods(new Map(), [address], false);
    run.hearPods(said, [address], false);
    expect(facts).to.have.length(3);
    run.hearPods(new Map(), [], false);
    run.hearPods(said, [address], false);
    expect(facts, 'another pod has the address now').to.have.length(6);
  });
});
