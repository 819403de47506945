import { expect } from 'chai';
import type { SupervisorMessage } from '../../src/actors/messages.ts';
import {
  ActorHouse,
  ingress,
  present,
  removed,
  rule,
  service,
  slice,
  synced,
} from '../support/actor-house.ts';

const few = 5;
const many = 60;

/** Each with a host and a Service of its own. */
const own = (index: number, path = '/') =>
  ingress(`i${index}`, [], {
    hosts: [{ host: `h${index}.example.com`, paths: [{ ...rule(`s${index}`), path }] }],
  });

async function houseOf(ingresses: number): Promise<ActorHouse> {
  const house = new ActorHouse();
  const all = Array.from({ length: ingresses }, (_, index) => index);
  await house.tell(
    ...all.flatMap((index) => [service(`s${index}`), slice(`s${index}-1`, `s${index}`), present(own(index))]),
    synced,
  );
  expect(house.runner.hosts()).to.have.length(ingresses);
  return house;
}

describe('an event costs as many messages', () => {
  const events: [title: string, event: SupervisorMessage][] = [
    ['endpoints that change', slice('s3-1', 's3', ['10.1.0.2'])],
    ['a Service that changes', service('s3', 81)],
    ['endpoints that are all gone', slice('s3-1', 's3', [])],
    ['an Ingress that changes', present(own(3, '/changed'))],
    ['an Ingress that is new', present(ingress('new', ['new.example.com']))],
    ['an Ingress that goes', removed('i3')],
  ];
  for (const [title, event] of events) {
    it(`among ${many} Ingresses as among ${few}: ${title}`, async () => {
      const told: string[][] = [];
      for (const count of [few, many]) {
        const house = await houseOf(count);
        house.told.length = 0;
        await house.tell(event);
        told.push([...house.told]);
        await house.stop();
      }
      expect(told[0]).to.include(`supervisor ${event.type}`);
      expect(told[1]).to.deep.equal(told[0]);
    });
  }
});
