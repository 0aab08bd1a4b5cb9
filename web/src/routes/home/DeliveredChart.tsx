// Rows delivered per day, by outcome, as stacked bars; the same numbers as a table for screen readers.

import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import type { Summary } from '../../api/types';
import { count } from '../../lib/format';
import styles from './chart.module.css';

type Day = Summary['per_day'][number];

const parts = [
  { key: 'inserted', label: 'inserted', colour: '--accent' },
  { key: 'updated', label: 'updated', colour: '--accent-light' },
  { key: 'deleted', label: 'deleted', colour: '--muted' },
  { key: 'rejected', label: 'rejected', colour: '--warn' },
] as const;

const height = 200;
const short = new Intl.NumberFormat('en-US', { notation: 'compact' });
const onAxis = (value: number) => (value < 100_000 ? count(value) : short.format(value));

export default function DeliveredChart({ days }: { days: Day[] }) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    let plot: uPlot | null = null;
    const draw = () => {
      plot?.destroy();
      element.replaceChildren();
      plot = new uPlot(options(days, element.clientWidth), stacked(days), element);
    };
    draw();
    const size = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    size.observe(element);
    const scheme = new MutationObserver(draw);
    scheme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-mantine-color-scheme'] });
    return () => {
      size.disconnect();
      scheme.disconnect();
      plot?.destroy();
    };
  }, [days]);
  return (
    <div>
      <div ref={frame} className={styles.plot} aria-hidden="true" />
      <ul className={styles.legend} aria-hidden="true">
        {parts.map((part) => (
          <li key={part.key}>
            <span style={{ background: `var(${part.colour})` }} />
            <span className="number">{count(days.reduce((sum, day) => sum + day[part.key], 0))}</span> {part.label}
          </li>
        ))}
      </ul>
      <div className="unseen">
        <table>
          <caption>Rows delivered per day</caption>
          <thead>
            <tr>
              <th scope="col">Day</th>
              {parts.map((part) => (
                <th key={part.key} scope="col">
                  {part.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.map((day) => (
              <tr key={day.day}>
                <th scope="row">{day.day}</th>
                {parts.map((part) => (
                  <td key={part.key}>{count(day[part.key])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** Each series is the sum of itself and those below; the tallest is drawn first and covered by the rest. */
function stacked(days: Day[]): uPlot.AlignedData {
  const tops = parts.map((_, index) =>
    days.map((day) => parts.slice(0, index + 1).reduce((sum, part) => sum + day[part.key], 0)),
  );
  return [days.map((_, index) => index), ...tops.reverse()];
}

function options(days: Day[], width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const bars = uPlot.paths.bars?.({ size: [0.6, 36], radius: 0 });
  const font = '12px system-ui, sans-serif';
  const label = (index: number) => {
    const day = days[index];
    if (!day) return '';
    return new Date(`${day.day}T00:00:00`).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-0.6, days.length - 0.4] },
      y: { range: (_, __, most) => [0, Math.max(10, most * 1.1)] },
    },
    axes: [
      {
        stroke: colour('--muted'),
        font,
        size: 28,
        grid: { show: false },
        ticks: { show: false },
        splits: () => days.map((_, index) => index),
        values: (plot, splits) => {
          const every = Math.max(1, Math.ceil((splits.length * 56) / plot.width));
          return splits.map((at) => ((days.length - 1 - at) % every === 0 ? label(at) : ''));
        },
      },
      {
        stroke: colour('--muted'),
        font,
        size: 48,
        grid: { stroke: colour('--line'), width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((value) => (value % 1 === 0 ? onAxis(value) : '')),
      },
    ],
    series: [
      {},
      ...[...parts].reverse().map((part) => ({
        label: part.label,
        paths: bars,
        fill: colour(part.colour),
        stroke: colour(part.colour),
        width: 0,
        points: { show: false },
      })),
    ],
  };
}
