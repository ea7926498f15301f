package com.example.bridge

import kotlinx.serialization.Serializable

@Serializable
data class Device(val platform: String, val token: String)

@Serializable
data class Dial(val phone: String)

/** A call, and the ticket that opens it at the bridge. */
@Serializable
data class Joined(val bridge: String, val callId: String, val ticket: String)

/**
 * The app's own server: it has the bridge's key, and knows the user by their login. examples/push is such a server.
 */
class AppServer(url: String, private val login: String) {
    private val http = JsonHttp(url)

    suspend fun register(device: Device) = order("POST", "/devices", JSON.encodeToString(device))

    suspend fun dial(wanted: Dial): Joined = joined("POST", "/calls", JSON.encodeToString(wanted))

    suspend fun ticket(callId: String): Joined = joined("POST", "/calls/$callId/ticket")

    /** @throws HttpRefused with 409 when another phone was first */
    suspend fun answer(callId: String) = order("POST", "/calls/$callId/answer")

    suspend fun hangup(callId: String) = order("POST", "/calls/$callId/hangup")

    private suspend fun joined(method: String, path: String, body: String? = null): Joined =
        JSON.decodeFromString(http.send(method, path, headers(), body ?: ""))

    private suspend fun order(method: String, path: String, body: String? = null) {
        http.send(method, path, headers(), body ?: "")
    }

    private fun headers() = mapOf("Authorization" to "Bearer $login")
}
