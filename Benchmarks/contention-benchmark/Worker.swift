// One process of many: what the benchmark tells it, and what it says.

import ArgumentParser
import Foundation
import IPAM

/// What a process has to do.
struct WorkerOrder: Codable, Sendable {
  let cell: Cell
  let place: Place
  let process: Int
  let nodes: [String]
}

/// A process, seen from the benchmark.
struct WorkerProcess: Sendable {
  private let process: Process
  private let input = Pipe()
  private let output = Pipe()

  init(_ order: WorkerOrder) async throws {
    let path = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    let text = String(decoding: try JSONEncoder().encode(order), as: UTF8.self)
    process = try await Children.start(path, ["worker", text], input: input, output: output)
  }

  /// Waits until it has prepared all.
  func isReady() async throws {
    let line = try await onThread { [output] in
      output.fileHandleForReading.readData(ofLength: 6)
    }
    guard line == Data("ready\n".utf8) else { throw BenchmarkError("a worker did not get ready") }
  }

  func begin(at start: UInt64) throws {
    try input.fileHandleForWriting.write(contentsOf: Data("\(start)\n".utf8))
  }

  /// What it did.
  func share() async throws -> Share {
    let data = try await onThread { [output] in
      try output.fileHandleForReading.readToEnd() ?? Data()
    }
    Children.ended(process)
    guard process.terminationStatus == 0 else { throw BenchmarkError("a worker failed") }
    return try JSONDecoder().decode(Share.self, from: data)
  }

  func end() { Children.end(process) }
}

/// Started by the benchmark itself.
struct Worker: AsyncParsableCommand {
  static let configuration = CommandConfiguration(shouldDisplay: false)
  @Argument var order: String

  func run() async throws {
    let order = try JSONDecoder().decode(WorkerOrder.self, from: Data(order.utf8))
    let writers = Writers(
      cell: order.cell, place: order.place, process: order.process, nodes: order.nodes)
    let share = try await writers.run {
      FileHandle.standardOutput.write(Data("ready\n".utf8))
      guard let line = readLine(), let start = UInt64(line) else {
        throw BenchmarkError("the benchmark went away")
      }
      return start
    }
    FileHandle.standardOutput.write(try JSONEncoder().encode(share))
  }
}
