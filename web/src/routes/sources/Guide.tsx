// What to do in AWS's console, in words.

import type { AuthType } from '../../api/types';
import styles from './sources.module.css';

const policy = [
  'Open IAM, choose Policies and then Create policy.',
  'Switch to JSON, paste the permission policy above, and save it under a name such as tapline-read.',
];

const steps: Record<Exclude<AuthType, 'anonymous'>, string[]> = {
  iam_role: [
    'Sign in to the AWS console with an account that may change IAM.',
    ...policy,
    'Choose Roles and then Create role. As the kind of trusted entity take Custom trust policy, and paste the trust policy above. The external id in it keeps others from using the role through us.',
    'On the next page tick the policy you made, give the role a name such as lake-reader, and create it.',
    'Open the role, copy its ARN, and paste it into the field above. New roles can take a few seconds until they work everywhere.',
  ],
  iam_user: [
    'Sign in to the AWS console with an account that may change IAM.',
    ...policy,
    'Choose Users and open the user that shall read, or create one without access to the console. Under Permissions attach the policy you made.',
    'Under Security credentials choose Create access key, and as the use case Application running outside AWS.',
    'Copy both halves into the fields above. AWS shows the secret one only once; it is sealed before it is stored here and never shown again.',
  ],
  default: [
    'Find out who this server is: the instance profile, task role or user whose credentials it runs with.',
    ...policy,
    'Attach the policy to that role or user.',
  ],
};

export function Guide({ kind }: { kind: Exclude<AuthType, 'anonymous'> }) {
  return (
    <ol className={styles.guide}>
      {steps[kind].map((step) => (
        <li key={step}>{step}</li>
      ))}
    </ol>
  );
}
