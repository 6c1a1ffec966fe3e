// The way from a process's environment and input to a command that can be performed, in the
// reference skeleton's order, which decides which of several errors is reported:
//
//   environment -> standard input -> JSON and name -> is the command known -> version -> perform
//
// It is split before "perform" so that only commands that need it meet the event loop.

internal import JSON

/// A command that has passed all checks.
public struct Invocation: Sendable {
  /// What is to be done; never VERSION.
  public let command: CNICommand
  /// The variables.
  public let environment: CNIEnvironment
  /// The configuration.
  public let configuration: NetworkConfiguration
  /// The version that the configuration declares and the answer must have.
  public let version: CNISpecVersion

  /// The attachment in question: of ADD, DEL and CHECK.
  public var attachment: CNIAttachment {
    CNIAttachment(
      containerID: environment.containerID, interfaceName: environment.interfaceName)
  }

  /// CNI_ARGS: strictly, throwing code 4, but on DEL, which nothing in them may hinder. O(length).
  public func arguments() throws(CNIError) -> CNIArguments {
    command == .del
      ? CNIArguments(lenient: environment.arguments)
      : try CNIArguments(parsing: environment.arguments)
  }

  /// The reply to what performing the command threw.
  public func reply(failure error: any Error) -> Reply {
    .failure(CNIError(wrapping: error), version: version)
  }

  /// The reply to what an ADD gave.
  public func reply(result: AddResult) -> Reply {
    do {
      return try .result(result, version: version)
    } catch {
      return reply(failure: error)
    }
  }
}

/// The checks before a command.
public enum Skeleton {
  /// What comes of the checks.
  public enum Preparation: Sendable {
    /// The process is done.
    case reply(Reply)
    /// The command is to be performed; `Invocation` makes the reply.
    case perform(Invocation)
  }

  /// Checks everything that does not depend on this plugin. `about` is the line for whoever starts
  /// it by hand. `readInput` reads standard input to its end, or to a byte above
  /// `JSONLimits.bytes`; it is called at most once, and not for VERSION.
  public static func prepare(
    environment variables: [String: String], about: String, readInput: () throws -> [UInt8]
  ) -> Preparation {
    if (variables["CNI_COMMAND"] ?? "").isEmpty { return .reply(.about(about)) }
    do {
      return try prepare(variables, readInput)
    } catch {
      return .reply(.failure(error))
    }
  }

  private static func prepare(
    _ variables: [String: String], _ readInput: () throws -> [UInt8]
  ) throws(CNIError) -> Preparation {
    let environment = try CNIEnvironment(variables)
    if environment.command == .version { return .reply(.version) }
    let input: [UInt8]
    do {
      input = try readInput()
    } catch {
      throw CNIError(.inputOutput, "error reading from stdin: \(error)")
    }
    let configuration = try NetworkConfiguration(parsing: input)
    guard let command = environment.command else {
      throw CNIError(.environment, "unknown CNI_COMMAND: \(environment.commandName)")
    }
    let version = try CNISpecVersion(declared: configuration.declaredVersion(), for: command)
    return .perform(
      Invocation(
        command: command, environment: environment, configuration: configuration,
        version: version))
  }
}
