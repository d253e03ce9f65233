// The one pickle that Spark's Python workers are sent: a function and its return type. Protocol 4, written by hand.
// The function is functools.partial(eval(source), payload), so that no Python file has to be anywhere on the cluster.

const PROTO_4 = [0x80, 4]
const STOP = 0x2e
const STACK_GLOBAL = 0x93
const REDUCE = 0x52
const TUPLE_1 = 0x85
const TUPLE_2 = 0x86

/**
 * (partial(f, payload), returnType), where `expression` is a Python expression whose value is f: a function of (payload, batches).
 */
export function pickledFunction(expression: string, payload: Uint8Array, schemaJson: string): Uint8Array {
  const call = (module: string, name: string, ...args: Uint8Array[]) =>
    bytes(text(module), text(name), [STACK_GLOBAL], ...args, [args.length === 1 ? TUPLE_1 : TUPLE_2], [REDUCE])
  const shim = call('builtins', 'eval', text(expression))
  return bytes(
    PROTO_4,
    call('functools', 'partial', shim, binary(payload)),
    call('pyspark.sql.types', '_parse_datatype_json_string', text(schemaJson)),
    [TUPLE_2],
    [STOP],
  )
}

/** BINUNICODE: the length in four bytes. */
function text(value: string): Uint8Array {
  const utf8 = Buffer.from(value, 'utf8')
  return bytes([0x58], length(utf8.length), utf8)
}

/** BINBYTES. */
function binary(value: Uint8Array): Uint8Array {
  return bytes([0x42], length(value.length), value)
}

function length(value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value, true)
  return out
}

function bytes(...parts: (Uint8Array | number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : Uint8Array.from(part))))
}
