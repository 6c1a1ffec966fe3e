// Where results go beside the terminal: checked before anything is measured, and written one after the
// other, so that a full disk costs no more than the file that does not fit.

import ArgumentParser
import Foundation

/// Files that a measurement writes.
struct OutputOptions: ParsableArguments {
  @Option(help: "Write all results to this file as JSON.") var json: String?
  @Option(help: "Write the table to this file as CSV.") var csv: String?
  @Option(help: "Write index.html with plots, and the results as JSON, into this folder.")
  var report: String?

  /// Refuses what cannot be written before minutes are spent on measuring.
  func check() throws {
    if let json { try OutputFile(json, for: "--json").check() }
    if let csv { try OutputFile(csv, for: "--csv").check() }
    guard let report else { return }
    do {
      try FileManager.default.createDirectory(atPath: report, withIntermediateDirectories: true)
    } catch {
      throw ValidationError("--report \(report): \(error.localizedDescription)")
    }
    try OutputFile("\(report)/results.json", for: "--report").check()
  }
}

/// A file to write, and the option that asks for it.
struct OutputFile {
  let path: String
  private let option: String

  init(_ path: String, for option: String) { (self.path, self.option) = (path, option) }

  /// Opens it and leaves everything as it was.
  func check() throws {
    let isNew = access(path, F_OK) != 0
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw ValidationError(trouble(errno)) }
    close(descriptor)
    if isNew { unlink(path) }
  }

  func write(_ data: Data) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw BenchmarkError(trouble(errno)) }
    var rest = data[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 || count < 0 && errno == EINTR else {
        let text = trouble(errno)
        close(descriptor)
        throw BenchmarkError(text)
      }
      rest = rest.dropFirst(max(0, count))
    }
    // Some file systems say only now that the disk is full.
    guard close(descriptor) == 0 else { throw BenchmarkError(trouble(errno)) }
  }

  private func trouble(_ number: Int32) -> String {
    "\(option) \(path): \(String(cString: strerror(number)))"
  }
}

/// Writes one thing after the other, whatever becomes of those before.
///
/// - Throws: What could not be written, if anything could not.
func writeAll(_ steps: [() throws -> Void]) throws {
  var troubles: [String] = []
  for step in steps {
    do { try step() } catch { troubles.append("\(error)") }
  }
  guard troubles.isEmpty else { throw BenchmarkError(troubles.joined(separator: "; ")) }
}
