# Runs in Spark's Python workers: the batches of a partition through a child process of Node and back. The only Python of nigh. It travels
# inside a pickle, so it is one function, its imports within.
#
# Both ways a frame is its length in four bytes and an Arrow IPC stream; a length of 0 is the end, without which an output is not whole.
def nigh_shim(payload, batches):
    import ctypes
    import os
    import signal
    import struct
    import subprocess
    import threading
    from collections import deque

    try:
        import pyarrow as pa
    except ImportError as error:
        raise RuntimeError("NIGH_WORKER: the Python of this worker has no pyarrow: %s" % error)

    first = next(batches, None)
    while first is not None and first.num_rows == 0:
        first = next(batches, None)
    if first is None:
        return

    parts = []
    while payload:
        (size,) = struct.unpack("<I", payload[:4])
        parts.append(payload[4 : 4 + size])
        payload = payload[4 + size :]
    folder, schema, task = parts[0].decode(), pa.ipc.open_stream(parts[1]).schema, parts[2]

    # Archives are unpacked where the worker runs.
    root = os.path.abspath(folder)
    node = os.path.join(root, "bin", "node")
    if not os.path.exists(node):
        raise RuntimeError("NIGH_WORKER: %s was not unpacked in %s" % (folder, os.getcwd()))

    environment = dict(os.environ, NIGH_PYARROW=pa.__version__)
    from pyspark import TaskContext

    now = TaskContext.get()
    if now is not None:
        environment["NIGH_PARTITION"] = str(now.partitionId())
        environment["NIGH_ATTEMPT"] = str(now.taskAttemptId())

    parent = os.getpid()
    libc = ctypes.CDLL(None)

    def with_parent():
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    try:
        child = subprocess.Popen(
            [node, os.path.join(root, "bundle", "task.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            preexec_fn=with_parent,
        )
    except OSError as error:
        raise RuntimeError("NIGH_WORKER: %s does not run here: %s" % (node, error))

    tail = deque(maxlen=60)
    failed = []

    def drain():
        for line in child.stderr:
            tail.append(line.decode(errors="replace")[:20000])

    def send(piece):
        child.stdin.write(struct.pack("<I", len(piece)))
        child.stdin.write(piece)

    def send_batch(batch):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        send(sink.getvalue())

    def feed():
        try:
            send(task)
            send_batch(first)
            for batch in batches:
                if batch.num_rows > 0:
                    send_batch(batch)
            child.stdin.write(struct.pack("<I", 0))
            child.stdin.close()
        except BrokenPipeError:
            pass  # It has ended, or has enough; its exit status tells which.
        except BaseException as error:
            failed.append(error)
            child.kill()

    threads = [threading.Thread(target=work, daemon=True) for work in (drain, feed)]
    for thread in threads:
        thread.start()

    def received():
        head = child.stdout.read(4)
        if len(head) == 4:
            (size,) = struct.unpack("<I", head)
            piece = child.stdout.read(size)
            if len(piece) == size:
                return piece
        status = child.wait()
        threads[0].join(10)
        if failed:
            raise failed[0]
        raise RuntimeError("NIGH_CHILD: node ended with status %s\n%s" % (status, "".join(tail)))

    try:
        while True:
            piece = received()
            if not piece:
                break
            table = pa.ipc.open_stream(piece).read_all()
            if table.schema != schema:
                # A row that tells of an error has no other columns, and others have not this one.
                is_error = table.column_names == ["__nigh_error"]
                for field in schema:
                    if field.name not in table.column_names and (is_error or field.name == "__nigh_error"):
                        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
                table = table.select(schema.names).cast(schema)
            for batch in table.to_batches():
                yield batch
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
