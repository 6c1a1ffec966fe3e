import TestSupport
import Testing

// The example package builds against this checkout and does what it says.

@Suite struct ExampleTests {
  @Test func prefixPoolBuildsAndRuns() async throws {
    let text = try await ChildProcess.run([
      "swift", "run", "--quiet", "--package-path", try repositoryPath("Examples/prefix-pool"),
      "--scratch-path", try repositoryPath(".build/examples"),
    ])
    #expect(text.contains("capacity 16777216, used 66537, free 16710679"), "\(text)")
    #expect(text.contains("equal after restoring: true"), "\(text)")
  }
}
