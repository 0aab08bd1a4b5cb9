// A secret: typed once, then kept by the server, which never shows it again.

import { Button, Input, PasswordInput } from '@mantine/core';
import { Icon } from './Icon';
import styles from './SchemaForm.module.css';

interface SecretInputProps {
  label: string;
  description?: string;
  error?: string;
  required?: boolean;
  withAsterisk?: boolean;
  hideLabel?: boolean;
  /** `null` is a secret that the server has. */
  value: string | null;
  onChange: (value: string | null) => void;
}

export function SecretInput({ label, description, hideLabel, value, onChange, ...rest }: SecretInputProps) {
  if (value === null) {
    return (
      <Input.Wrapper label={hideLabel ? undefined : label} description={description} error={rest.error} labelElement="div">
        <div className={styles.kept}>
          <Icon name="lock" size={14} /> kept, never shown
          <Button size="compact-xs" variant="subtle" onClick={() => onChange('')} aria-label={`Replace ${label.toLowerCase()}`}>
            Replace
          </Button>
        </div>
      </Input.Wrapper>
    );
  }
  return (
    <PasswordInput
      {...rest}
      label={hideLabel ? undefined : label}
      aria-label={hideLabel ? label : undefined}
      description={description}
      autoComplete="off"
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
