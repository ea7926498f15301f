package com.example.bridge

import java.io.IOException
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.serialization.Serializable

/** What the bridge sends and takes: https://bridge.example.com/docs shows all of it. */
@Serializable
data class IceServer(val urls: List<String>, val username: String = "", val credential: String = "")

@Serializable
data class IceConfiguration(val iceServers: List<IceServer>)

@Serializable
data class Offer(val callID: String, val type: String, val sdp: String, val legID: String? = null)

@Serializable
data class Answer(val legID: String, val sdp: String)

@Serializable
data class Close(val callID: String, val legID: String)

@Serializable
data class Closed(val closed: Boolean)

/** One line of the event stream; there are more fields, see docs/webhooks-and-events.md. */
@Serializable
data class CallEvent(val id: String, val type: String)

/**
 * The bridge, opened by a ticket for one call.
 *
 * @param newTicket asks the app's own server for another ticket when this one has expired.
 */
class BridgeApi(bridge: String, private var ticket: String, private val newTicket: suspend () -> String) {
    private val http = JsonHttp(bridge)

    suspend fun config(): IceConfiguration = send("GET", "/call/webrtc/config")

    suspend fun offer(offer: Offer): Answer = send("POST", "/call/webrtc/offer", offer)

    suspend fun close(close: Close): Closed = send("POST", "/call/webrtc/close", close)

    /** What happens to the call, from its beginning; ends when the call has ended. */
    fun events(callId: String): Flow<CallEvent> = flow {
        var last = ""
        var over = false
        while (!over) {
            try {
                val headers = mapOf("token" to ticket, "Last-Event-ID" to last)
                val more = http.lines("/call/$callId/events", headers) { line ->
                    if (line.startsWith("data: ")) {
                        val event: CallEvent = JSON.decodeFromString(line.removePrefix("data: "))
                        last = event.id
                        over = event.type == "call.ended"
                        emit(event)
                    }
                }
                over = over || !more
            } catch (refused: HttpRefused) {
                if (refused.status != 401 || !renewed()) return@flow // the call is not there any more
            } catch (_: IOException) {
                delay(1_000) // the network may be coming back
            }
        }
    }

    private suspend fun renewed(): Boolean = try {
        ticket = newTicket()
        true
    } catch (_: HttpRefused) {
        false
    } catch (_: IOException) {
        delay(1_000)
        true
    }

    private suspend inline fun <reified R> send(method: String, path: String): R =
        decoded(method, path, null)

    private suspend inline fun <reified B, reified R> send(method: String, path: String, body: B): R =
        decoded(method, path, JSON.encodeToString(body))

    private suspend inline fun <reified R> decoded(method: String, path: String, body: String?): R {
        val text = try {
            http.send(method, path, mapOf("token" to ticket), body)
        } catch (refused: HttpRefused) {
            if (refused.status != 401) throw refused
            ticket = newTicket()
            http.send(method, path, mapOf("token" to ticket), body)
        }
        return JSON.decodeFromString(text)
    }
}
