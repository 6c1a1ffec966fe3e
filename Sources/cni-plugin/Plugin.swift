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
    let prepared = Skeleton.prepare(
      environment: SystemProcess.environment, about: about,
      readInput: { try SystemProcess.readInput(limit: JSONLimits.bytes) })
    switch prepared {
    case .reply(let reply): finish(reply)
    case .perform(let invocation): finish(SystemProcess.wait { await perform(invocation) })
    }
  }

  private static func perform(_ invocation: Invocation) async -> Reply {
    do {
      let result = try await Command(invocation).perform()
      return result.map { invocation.reply(result: $0) } ?? .success
    } catch {
      let failure = CNIError(wrapping: error)
      Log.write(
        .error, failure.message, [(key: "code", value: String(failure.code.rawValue))])
      return invocation.reply(failure: failure)
    }
  }

  private static func finish(_ reply: Reply) -> Never {
    SystemProcess.write(reply.standardOutput, to: .output)
    SystemProcess.write(reply.standardError, to: .error)
    SystemProcess.exit(reply.exitStatus)
  }
}
