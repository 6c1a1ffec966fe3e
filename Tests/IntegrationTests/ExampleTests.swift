import Foundation
import Testing
import TestSupport

// The example package builds against this checkout and does what it says.

@Suite struct ExampleTests {
  @Test func prefixPoolBuildsAndRuns() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "swift", "run", "--quiet", "--package-path",
      root.appending(path: "Examples/prefix-pool").path,
      "--scratch-path", root.appending(path: ".build/examples").path,
    ]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
    #expect(text.contains("capacity 16777216, used 66537, free 16710679"), "\(text)")
    #expect(text.contains("equal after restoring: true"), "\(text)")
  }
}
