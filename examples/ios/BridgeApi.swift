import Foundation

// What the bridge sends and takes: https://bridge.example.com/docs shows all of it.

struct IceServer: Decodable {
    let urls: [String]
    let username: String?
    let credential: String?
}

struct IceConfiguration: Decodable {
    let iceServers: [IceServer]
}

struct Offer: Encodable {
    let callID: String
    let type: String
    let sdp: String
    let legID: String?
}

struct Answer: Decodable {
    let legID: String
    let sdp: String
}

struct Close: Encodable {
    let callID: String
    let legID: String
}

struct Closed: Decodable {
    let closed: Bool
}

/// One line of the event stream; there are more fields, see docs/webhooks-and-events.md.
struct CallEvent: Decodable {
    let id: String
    let type: String
}

/// The bridge, opened by a ticket for one call.
@MainActor
final class BridgeApi {
    private let http: JsonHttp
    private var ticket: String
    private let newTicket: () async throws -> String

    /// `newTicket` asks the app's own server for another ticket when this one has expired.
    init(bridge: URL, ticket: String, newTicket: @escaping () async throws -> String) {
        http = JsonHttp(base: bridge)
        self.ticket = ticket
        self.newTicket = newTicket
    }

    func config() async throws -> IceConfiguration { try await send("GET", "/call/webrtc/config") }

    func offer(_ offer: Offer) async throws -> Answer { try await send("POST", "/call/webrtc/offer", offer) }

    func close(_ close: Close) async throws -> Closed { try await send("POST", "/call/webrtc/close", close) }

    /// What happens to the call, from its beginning; returns when the call has ended, or the task is cancelled.
    func events(_ callId: String, take: (CallEvent) async -> Void) async {
        var last = ""
        while !Task.isCancelled {
            do {
                let headers = ["token": ticket, "Last-Event-ID": last]
                guard let lines = try await http.lines("/call/\(callId)/events", headers: headers) else { return }
                for try await line in lines where line.hasPrefix("data: ") {
                    let event = try JSONDecoder().decode(CallEvent.self, from: Data(line.dropFirst(6).utf8))
                    last = event.id
                    await take(event)
                    if event.type == "call.ended" { return }
                }
            } catch let refused as HttpRefused where refused.status == 401 {
                guard await renewed() else { return }
            } catch is HttpRefused {
                return // the call is not there any more
            } catch {
                try? await Task.sleep(nanoseconds: 1_000_000_000) // the network may be coming back
            }
        }
    }

    private func renewed() async -> Bool {
        do {
            ticket = try await newTicket()
        } catch is HttpRefused {
            return false
        } catch {
            try? await Task.sleep(nanoseconds: 1_000_000_000)
        }
        return true
    }

    private func send<Reply: Decodable>(_ method: String, _ path: String) async throws -> Reply {
        try await decoded(method, path, body: nil)
    }

    private func send<Body: Encodable, Reply: Decodable>(
        _ method: String, _ path: String, _ body: Body
    ) async throws -> Reply {
        try await decoded(method, path, body: JSONEncoder().encode(body))
    }

    private func decoded<Reply: Decodable>(_ method: String, _ path: String, body: Data?) async throws -> Reply {
        do {
            let reply = try await http.send(method, path, headers: ["token": ticket], body: body)
            return try JSONDecoder().decode(Reply.self, from: reply)
        } catch let refused as HttpRefused where refused.status == 401 {
            ticket = try await newTicket()
            let reply = try await http.send(method, path, headers: ["token": ticket], body: body)
            return try JSONDecoder().decode(Reply.self, from: reply)
        }
    }
}
