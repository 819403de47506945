import { type IdleOrder, runIdle } from './generator/idle-sockets.ts';
import { type LoadOrder, type Measured, runLoad } from './generator/load.ts';
import { serveOrders } from './orders.ts';

/** The load generator, a process of its own. */

export type GeneratorOrder = LoadOrder | IdleOrder;

serveOrders<GeneratorOrder, Measured>((order) => (order.type === 'load' ? runLoad(order) : runIdle(order)));
