// The server itself: version, state, limits; the state as a project file.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { address } from '../../api/client';
import { aboutQuery } from '../../api/queries';
import { bytes, count, duration } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { Icon } from '../../parts/Icon';
import { ProblemNote, Waiting } from '../../parts/Note';
import { Facts, Section } from '../../parts/Page';
import { Time } from '../../parts/Time';
import { Frame } from './Frame';

export function AboutPage() {
  const admin = useMay('admin');
  const { data, error } = useQuery(aboutQuery);
  return (
    <Frame title="About">
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting lines={3} />}
      {data && (
        <>
          <Facts
            facts={[
              ['Version', data.version],
              ['State kept in', data.state === 'postgres' ? 'PostgreSQL' : 'SQLite'],
              ['Started', <Time key="started" at={data.started_at} />],
              ['Running for', duration(data.uptime_s * 1000)],
            ]}
          />
          <Section title="Limits">
            <Facts
              facts={[
                ['Runs at once', count(data.limits.concurrency)],
                ['Queries at once', count(data.limits.interactive)],
                ['Rows of a query', count(data.limits.query_rows)],
                ['Time of a query', duration(data.limits.query_timeout_ms)],
                ['Memory of a query', bytes(data.limits.query_memory_bytes)],
                ['Size of a request', bytes(data.limits.body_bytes)],
              ]}
            />
          </Section>
        </>
      )}
      {admin && (
        <Section title="As a project file">
          <div className="stack">
            <p style={{ margin: 0 }}>
              All sources, models, destinations and syncs as one tapline.yaml, without secrets. Keep it in Git, and bring it to another server with
              tapline apply.
            </p>
            <div>
              <Button component="a" href={address('/export')} download="tapline.yaml" variant="default" leftSection={<Icon name="download" size={14} />}>
                Download tapline.yaml
              </Button>
            </div>
          </div>
        </Section>
      )}
      <p className="muted" style={{ margin: 0 }}>
        Everything on these pages goes by the public API: <a href="/api/openapi.json">openapi.json</a>
      </p>
    </Frame>
  );
}
