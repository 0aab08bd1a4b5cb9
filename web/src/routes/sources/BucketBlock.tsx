// Where the files are: region, bucket, path, type; and for storage that only speaks S3, its address.

import { Collapse, Input, SegmentedControl, Select, TextInput, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { regionsQuery } from '../../api/queries';
import type { SourceForm } from '../../lib/source';
import { Icon } from '../../parts/Icon';
import styles from './sources.module.css';

interface BlockProps {
  form: SourceForm;
  change: (changed: Partial<SourceForm>) => void;
}

export function BucketBlock({ form, change }: BlockProps) {
  const regions = useQuery(regionsQuery).data ?? [];
  const [compatible, setCompatible] = useState(form.endpoint !== '' || form.stsEndpoint !== '' || form.pathStyle !== 'auto');
  const known = regions.some((region) => region.id === form.region) || form.region === 'auto';
  const options = [
    { value: 'auto', label: 'auto' },
    ...(known ? [] : [{ value: form.region, label: form.region }]),
    ...regions.filter((region) => region.id !== 'auto').map((region) => ({ value: region.id, label: `${region.id}  ${region.name}` })),
  ];
  return (
    <div className="stack">
      <div className={styles.bucketGrid}>
        <Select
          label="Region"
          description="auto asks the bucket."
          searchable
          data={options}
          value={form.region}
          onChange={(region) => change({ region: region ?? 'auto' })}
        />
        <TextInput
          label="Bucket"
          description="Its name alone."
          placeholder="acme-lake"
          required
          withAsterisk={false}
          spellCheck={false}
          value={form.bucket}
          onChange={(event) => {
            // A whole address, pasted, is taken apart.
            const pasted = /^s3:\/\/([^/]+)\/?(.*)$/.exec(event.currentTarget.value.trim());
            change(pasted ? { bucket: pasted[1] ?? '', path: pasted[2] ?? '' } : { bucket: event.currentTarget.value });
          }}
        />
        <TextInput
          label="Path"
          description="Folder or file; empty for the whole bucket."
          placeholder="exports/crm"
          spellCheck={false}
          value={form.path}
          onChange={(event) => change({ path: event.currentTarget.value })}
        />
        <Input.Wrapper label="Type" description="any goes by the files’ endings." labelElement="div">
          <SegmentedControl
            aria-label="Type"
            value={form.fileType}
            onChange={(value) => change({ fileType: value as SourceForm['fileType'] })}
            data={[
              { value: 'csv', label: 'CSV' },
              { value: 'parquet', label: 'Parquet' },
              { value: 'ndjson', label: 'NDJSON' },
              { value: 'any', label: 'any' },
            ]}
          />
        </Input.Wrapper>
      </div>
      <UnstyledButton className={styles.more} aria-expanded={compatible} onClick={() => setCompatible(!compatible)}>
        <Icon name={compatible ? 'down' : 'right'} size={12} />
        S3-compatible storage: endpoint, path style
      </UnstyledButton>
      <Collapse expanded={compatible}>
        <div className={styles.compatibleGrid}>
          <TextInput
            label="Endpoint"
            description="Such as MinIO, R2, Garage or Ceph; empty for AWS."
            placeholder="https://minio.internal:9000"
            spellCheck={false}
            value={form.endpoint}
            onChange={(event) => change({ endpoint: event.currentTarget.value })}
          />
          <TextInput
            label="STS endpoint"
            description="Where roles are assumed; empty for AWS."
            placeholder="https://sts.internal"
            spellCheck={false}
            value={form.stsEndpoint}
            onChange={(event) => change({ stsEndpoint: event.currentTarget.value })}
          />
          <Select
            label="Path style"
            description="Bucket in the path of addresses."
            data={[
              { value: 'auto', label: 'auto: yes with an endpoint' },
              { value: 'yes', label: 'yes: endpoint/bucket' },
              { value: 'no', label: 'no: bucket.endpoint' },
            ]}
            value={form.pathStyle}
            onChange={(value) => change({ pathStyle: (value ?? 'auto') as SourceForm['pathStyle'] })}
          />
        </div>
      </Collapse>
    </div>
  );
}
