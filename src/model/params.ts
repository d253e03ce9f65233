// What estimators and transformers share of their params: how they are documented, checked and told.
import { invalidOption } from '../errors.ts'

/** One param for people: what it does, with its range, and its default. */
export interface ParamDoc {
  name: string
  doc: string
  default: unknown
}

/** A line a param: `name: doc (default: ..., current: ...)`. */
export function explain(docs: readonly ParamDoc[], current: object): string {
  const values = current as Record<string, unknown>
  const line = ({ name, doc, default: usual }: ParamDoc) => {
    const now = values[name]
    const facts = [
      usual === undefined ? 'undefined' : `default: ${show(usual)}`,
      ...(now === undefined || now === usual ? [] : [`current: ${show(now)}`]),
    ]
    return `${name}: ${doc} (${facts.join(', ')})`
  }
  return docs.map(line).join('\n')
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'function' ? 'a function' : JSON.stringify(value)
}

/** The params of a stage as plain data, without those that were not given. */
export function given(options: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

/** Fails for the first option that no doc knows. */
export function refuseUnknown(options: object, docs: readonly ParamDoc[]): void {
  const unknown = Object.keys(options).find((name) => !docs.some((doc) => doc.name === name))
  const known = docs.map((doc) => doc.name).join(', ')
  if (unknown !== undefined) throw invalidOption(unknown, `no such param; there are ${known}`)
}

export function columnName(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalidOption(option, 'must be the name of a column')
  return value
}
