import CNI
import JSON

// The process: environment and standard input in, reply out. Nothing of the event loop, of the stores
// or of the network runs before a command needs it, because a runtime starts this process for every
// container and again for VERSION.

@main
enum Plugin {
  static let about =
    "cni-ipam-consul: CNI IPAM plugin with a bitmap allocator on Consul or on a local directory"

  static func main() {
    SystemProcess.prepareStreams()
    let prepared = Skeleton.prepare(
      environment: SystemProcess.environment, about: about,
      readInput: { try SystemProcess.readInput(limit: JSONLimits.bytes) })
    switch prepared {
    case .reply(let reply): SystemProcess.exit(answer(reply) ? reply.exitStatus : 1)
    case .perform(let invocation):
      SystemProcess.exit(SystemProcess.wait { await perform(invocation) })
    }
  }

  /// Does a command and answers it; the exit status.
  private static func perform(_ invocation: Invocation) async -> Int32 {
    do {
      var command = try Command(invocation)
      let result = try await command.perform()
      let reply = result.map { invocation.reply(result: $0) } ?? .success
      if answer(reply) { return reply.exitStatus }
      await command.takeBack()
      return 1
    } catch {
      let failure = CNIError(wrapping: error)
      Log.write(
        .error, failure.message, [(key: "code", value: String(failure.code.rawValue))])
      let reply = invocation.reply(failure: failure)
      _ = answer(reply)
      return reply.exitStatus
    }
  }

  /// Whether the reply could be written. Nobody is told of it but who reads standard error.
  private static func answer(_ reply: Reply) -> Bool {
    do throws(SystemProcess.Failure) {
      try SystemProcess.write(reply.standardOutput, to: .output)
    } catch {
      try? SystemProcess.write("error writing to stdout: \(error)\n", to: .error)
      return false
    }
    try? SystemProcess.write(reply.standardError, to: .error)
    return true
  }
}
