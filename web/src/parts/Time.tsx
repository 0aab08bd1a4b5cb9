// A moment: how long ago, and exactly when on hover and to a screen reader.

import { exact, relative } from '../lib/format';
import { useNow } from '../lib/now';

export function Time({ at, none = 'never' }: { at: string | null | undefined; none?: string }) {
  const now = useNow();
  if (!at) return <span className="muted">{none}</span>;
  const time = new Date(at);
  return (
    <time dateTime={at} title={exact(time)} className="number">
      {relative(time, new Date(now))}
    </time>
  );
}
