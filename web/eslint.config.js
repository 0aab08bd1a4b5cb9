import js from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import typescript from 'typescript-eslint';

export default typescript.config(
  { ignores: ['dist', 'src/api/schema.d.ts', 'e2e/results'] },
  js.configs.recommended,
  ...typescript.configs.recommended,
  hooks.configs.flat['recommended-latest'],
  {
    rules: {
      // Taking keys off an object names them `_`.
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_+$', ignoreRestSiblings: true }],
      'no-restricted-syntax': [
        'error',
        {
          selector: 'JSXAttribute[name.name="dangerouslySetInnerHTML"]',
          message: 'Values of cells are never markup.',
        },
      ],
    },
  },
  { files: ['scripts/**'], languageOptions: { globals: { console: 'readonly', process: 'readonly', URL: 'readonly' } } },
);
