// Copying: a small button, and a block of text with one.

import { Button, CopyButton } from '@mantine/core';
import type { ReactNode } from 'react';
import { Icon } from './Icon';
import styles from './Copy.module.css';

export function Copy({ text, label = 'Copy', what }: { text: string; label?: string; what?: string }) {
  return (
    <CopyButton value={text} timeout={1500}>
      {({ copied, copy }) => (
        <Button
          size="compact-xs"
          variant="subtle"
          leftSection={<Icon name={copied ? 'check' : 'copy'} size={14} />}
          onClick={copy}
          aria-label={copied ? 'Copied' : `${label}${what ? ` ${what}` : ''}`}
        >
          {copied ? 'Copied' : label}
        </Button>
      )}
    </CopyButton>
  );
}

interface CodeBlockProps {
  title: string;
  text: string;
  /** Shown in place of the text, such as a sentence on what is missing. */
  children?: ReactNode;
  wrap?: boolean;
}

export function CodeBlock({ title, text, children, wrap }: CodeBlockProps) {
  return (
    <figure className={styles.block}>
      <figcaption>
        <span>{title}</span>
        {text && <Copy text={text} what={title.toLowerCase()} />}
      </figcaption>
      {children ?? (
        <pre className={wrap ? styles.wrap : undefined} tabIndex={0} aria-label={title}>
          {text}
        </pre>
      )}
    </figure>
  );
}
