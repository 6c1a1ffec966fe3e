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
      let command = try Command(invocation)
      switch invocation.command {
      case .add: return invocation.reply(result: try await command.add())
      case .del: try await command.delete()
      case .check: try await command.check()
      case .gc: try await command.collect()
      case .status: try await command.status()
      case .version: return .version
      }
      return .success
    } catch {
      return invocation.reply(failure: error)
    }
  }

  private static func finish(_ reply: Reply) -> Never {
    SystemProcess.write(reply.standardOutput, to: .output)
    SystemProcess.write(reply.standardError, to: .error)
    SystemProcess.exit(reply.exitStatus)
  }
}
