import NIOHTTP1

/// What scrapes get. One reading at a time: a scrape that comes during one waits for its end and gets
/// the same, so that the store is asked no more often by many scrapers than by one.
actor MetricsPage {
  struct Answer: Sendable {
    let status: HTTPResponseStatus
    let text: String
  }

  private let source: MetricsSource
  private var reading: Task<Answer, Never>?
  /// What was wrong at the last reading, so that a change is said once and not with each scrape.
  private var trouble = ""

  init(_ source: MetricsSource) { self.source = source }

  /// Only the end of the whole program cancels a scrape, and then the reading with it.
  func scrape() async -> Answer {
    let isFirst = reading == nil
    let task = reading ?? Task { await read() }
    reading = task
    defer { if isFirst { reading = nil } }
    return await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      task.cancel()
    }
  }

  private func read() async -> Answer {
    do {
      let (metrics, failures) = try await source.read()
      report(failures)
      return Answer(status: .ok, text: PoolMetrics.up(true) + comments(failures) + metrics.text)
    } catch {
      report([error])
      return Answer(
        status: .serviceUnavailable, text: PoolMetrics.up(false) + comments([error]))
    }
  }

  /// Lines that Prometheus passes by and people read.
  private func comments(_ failures: [Failure]) -> String {
    failures.map { "# \(Table.printable($0.description))\n" }.joined()
  }

  private func report(_ failures: [Failure]) {
    let text = failures.map(\.description).joined(separator: "; ")
    if text == trouble || Task.isCancelled { return }
    Terminal.say(failures.isEmpty ? "all can be read again" : text)
    trouble = text
  }
}
