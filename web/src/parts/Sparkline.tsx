// The last runs of a sync as bars; a run that did not end well is told by its shape too.

import type { Sync } from '../api/types';
import { count } from '../lib/format';

const height = 20;
const step = 6;

export function Sparkline({ trend }: { trend: Sync['trend'] }) {
  if (trend.length === 0) return <span className="muted">no runs yet</span>;
  const most = Math.max(1, ...trend.map((run) => run.delivered));
  const last = trend.at(-1);
  const words = `rows delivered by the last ${trend.length} runs, ${count(last?.delivered ?? 0)} by the last one`;
  return (
    <svg width={step * 12} height={height} role="img" aria-label={words} style={{ display: 'block' }}>
      <title>{words}</title>
      {trend.map((run, index) => {
        const x = (12 - trend.length + index) * step;
        if (run.status === 'failed' || run.status === 'stopped') {
          return <path key={run.run} d={`M${x} ${height - 5}l4 4m0-4l-4 4`} stroke="var(--bad)" strokeWidth="1.5" />;
        }
        const tall = Math.max(1.5, (run.delivered / most) * (height - 2));
        const fill = run.status === 'partial' ? 'var(--warn)' : 'var(--muted)';
        return <rect key={run.run} x={x} y={height - tall} width={4} height={tall} rx={0.5} fill={fill} />;
      })}
    </svg>
  );
}
