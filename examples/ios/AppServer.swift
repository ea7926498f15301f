import Foundation

struct Device: Encodable {
    let platform: String
    let token: String
}

struct Dial: Encodable {
    let phone: String
}

/// A call, and the ticket that opens it at the bridge.
struct Joined: Decodable {
    let bridge: URL
    let callId: String
    let ticket: String
}

/// The app's own server: it has the bridge's key, and knows the user by their login. examples/push is such a server.
struct AppServer: Sendable {
    let url: URL
    let login: String

    func register(_ device: Device) async throws { try await order("POST", "/devices", JSONEncoder().encode(device)) }

    func dial(_ wanted: Dial) async throws -> Joined { try await joined("POST", "/calls", JSONEncoder().encode(wanted)) }

    func ticket(_ callId: String) async throws -> Joined { try await joined("POST", "/calls/\(callId)/ticket") }

    /// Throws `HttpRefused` with 409 when another phone was first.
    func answer(_ callId: String) async throws { try await order("POST", "/calls/\(callId)/answer") }

    func hangup(_ callId: String) async throws { try await order("POST", "/calls/\(callId)/hangup") }

    private func joined(_ method: String, _ path: String, _ body: Data? = nil) async throws -> Joined {
        try await JSONDecoder().decode(Joined.self, from: asked(method, path, body))
    }

    private func order(_ method: String, _ path: String, _ body: Data? = nil) async throws {
        _ = try await asked(method, path, body)
    }

    private func asked(_ method: String, _ path: String, _ body: Data?) async throws -> Data {
        let headers = ["Authorization": "Bearer \(login)"]
        return try await JsonHttp(base: url).send(method, path, headers: headers, body: body)
    }
}
