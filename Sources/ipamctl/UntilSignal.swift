import Dispatch
import Glibc

/// Runs a body that goes on until its task is cancelled, which SIGINT and SIGTERM do.
func untilSignal(_ body: @escaping @Sendable () async -> Void) async {
  let task = Task { await body() }
  let sources = [SIGINT, SIGTERM].map { number in
    // Not the default action, which would end the process before the source is told.
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler { task.cancel() }
    source.resume()
    return source
  }
  await task.value
  for source in sources { source.cancel() }
}
