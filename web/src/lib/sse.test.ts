import { describe, expect, test, vi } from 'vitest';
import { EventParser, follow, type ServerEvent } from './sse';

const all = (pieces: string[]) => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

describe('parsing', () => {
  const text = 'id: 1\nevent: phase\ndata: {"a":1}\n\n: still there\n\nid: 2\ndata: x\ndata: y\n\n';
  const events = [
    { id: '1', type: 'phase', data: '{"a":1}' },
    { id: '2', type: 'message', data: 'x\ny' },
  ];
  test('in one piece', () => expect(all([text])).toEqual(events));
  test('letter by letter', () => expect(all([...text])).toEqual(events));
  test('with other line breaks, torn apart', () => {
    const windows = text.replaceAll('\n', '\r\n');
    expect(all([...windows])).toEqual(events);
    expect(all([windows.slice(0, 6), windows.slice(6)])).toEqual(events);
  });
  test('an event without its empty line is not told', () => expect(all(['data: x\n'])).toEqual([]));
});

function answer(text: string, breaks = false): Response {
  const stream = new ReadableStream({
    start(control) {
      control.enqueue(new TextEncoder().encode(text));
      if (breaks) control.error(new TypeError('network'));
      else control.close();
    },
  });
  return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
}

describe('following', () => {
  const isLast = (event: ServerEvent) => event.type === 'ended';
  const event = (id: number, type = 'note') => `id: ${id}\nevent: ${type}\ndata: {}\n\n`;

  test('goes on after the last event that arrived', async () => {
    const asked: (string | null)[] = [];
    const answers = [answer(event(1) + event(2)), answer(event(3), true), answer(event(4, 'ended'))];
    const seen: string[] = [];
    await follow({
      open: (lastId) => {
        asked.push(lastId);
        return Promise.resolve(answers.shift() as Response);
      },
      take: ({ id }) => seen.push(String(id)),
      isLast,
      mayRetry: () => asked.length < 5,
      signal: new AbortController().signal,
      wait: () => Promise.resolve(),
    });
    // What a broken connection had already delivered may be lost with it; nothing is told twice or out of order.
    expect(seen.at(-1)).toBe('4');
    expect(new Set(seen).size).toBe(seen.length);
    expect(asked.slice(0, 2)).toEqual([null, '2']);
  });

  test('waits longer after each failure, and ends with the signal', async () => {
    const control = new AbortController();
    const waits: number[] = [];
    await follow({
      open: () => Promise.reject(new TypeError('refused')),
      take: vi.fn(),
      isLast,
      mayRetry: () => true,
      signal: control.signal,
      wait: (time) => {
        waits.push(time);
        if (waits.length === 6) control.abort();
        return Promise.resolve();
      },
    });
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
  });

  test('a stream that may be without its last event is opened once', async () => {
    const open = vi.fn(() => Promise.resolve(answer(event(1))));
    const take = vi.fn();
    await follow({ open, take, isLast, again: () => false, mayRetry: () => true, signal: new AbortController().signal });
    expect([open.mock.calls.length, take.mock.calls.length]).toEqual([1, 1]);
  });

  test('a refusal is told, not repeated', async () => {
    const open = vi.fn(() => Promise.reject(new Error('no such run')));
    const following = follow({ open, take: vi.fn(), isLast, mayRetry: () => false, signal: new AbortController().signal });
    await expect(following).rejects.toThrow('no such run');
    expect(open).toHaveBeenCalledTimes(1);
  });
});
