import Dispatch
import Glibc

/// Runs a body that goes on until its task is cancelled, which SIGINT and SIGTERM do. They are heard
/// before the body begins: what it says may be answered by one.
func untilSignal(_ body: @escaping @Sendable () async -> Void) async {
  let (signals, told) = AsyncStream.makeStream(of: Void.self)
  var sources: [any DispatchSourceSignal] = []
  for number in [SIGINT, SIGTERM] {
    // Not the default action, which would end the process before the source is told.
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler { told.yield() }
    sources.append(source)
    await withCheckedContinuation { heard in
      source.setRegistrationHandler { heard.resume() }
      source.resume()
    }
  }
  await withTaskGroup { group in
    group.addTask { await body() }
    group.addTask { for await _ in signals { return } }
    await group.next()
    group.cancelAll()
  }
  for source in sources { source.cancel() }
}
