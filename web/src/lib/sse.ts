// Server-sent events over fetch: unlike EventSource it can POST, be given up, and tells refusals as problems.
// Not here: what the events mean.
// Called by api/events.ts.

export interface ServerEvent {
  id: string | null;
  type: string;
  data: string;
}

/** Takes a stream's text in pieces of any size and yields the events that are complete. */
export class EventParser {
  #rest = '';
  #id: string | null = null;
  #type = '';
  #data: string[] = [];

  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    this.#rest += piece;
    for (;;) {
      const end = /\r\n|\n|\r/.exec(this.#rest);
      // A carriage return at the very end may be the first half of a line break.
      if (!end || (end[0] === '\r' && end.index === this.#rest.length - 1)) return events;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const event = this.#take(line);
      if (event) events.push(event);
    }
  }

  #take(line: string): ServerEvent | null {
    if (line === '') {
      const event = { id: this.#id, type: this.#type || 'message', data: this.#data.join('\n') };
      const complete = this.#data.length > 0;
      this.#type = '';
      this.#data = [];
      return complete ? event : null;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#type = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id') this.#id = value;
    return null;
  }
}

/** Reads a response's events until it ends. */
export async function readEvents(response: Response, take: (event: ServerEvent) => void): Promise<void> {
  if (!response.body) return;
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.push(value).forEach(take);
  }
}

export interface Following {
  /** Opens the stream after the event with this id. */
  open: (lastId: string | null, signal: AbortSignal) => Promise<Response>;
  take: (event: ServerEvent) => void;
  /** Whether this event is the last that will come. */
  isLast: (event: ServerEvent) => boolean;
  /** Whether a stream that ended without its last event is opened again. */
  again?: () => boolean;
  /** Told when the stream breaks and when it is back. */
  connected?: (yes: boolean) => void;
  /** Whether opening again after this error makes sense. */
  mayRetry: (error: unknown) => boolean;
  signal: AbortSignal;
  wait?: (milliseconds: number) => Promise<void>;
}

/** Follows a stream over broken connections, each time from after the last event that arrived. */
export async function follow(following: Following): Promise<void> {
  const wait = following.wait ?? ((time) => new Promise((resolve) => setTimeout(resolve, time)));
  let lastId: string | null = null;
  let failures = 0;
  let ended = false;
  while (!ended && !following.signal.aborted) {
    try {
      const response = await following.open(lastId, following.signal);
      following.connected?.(true);
      await readEvents(response, (event) => {
        failures = 0;
        if (event.id !== null) lastId = event.id;
        following.take(event);
        ended ||= following.isLast(event);
      });
    } catch (error) {
      if (following.signal.aborted) return;
      if (!following.mayRetry(error)) throw error;
    }
    if (ended || following.signal.aborted || following.again?.() === false) return;
    following.connected?.(false);
    await wait(Math.min(500 * 2 ** failures, 8000));
    failures += 1;
  }
}
