// The nonce that style elements made at run time must carry under the page's content security policy.

export const cspNonce =
  typeof document === 'undefined'
    ? ''
    : (document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '');
