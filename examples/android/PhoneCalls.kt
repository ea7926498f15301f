package com.example.bridge

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import java.io.IOException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch

/** How the system shows a call: Telecom's connection, see CallConnectionService. */
interface CallScreen {
    fun dialling()

    fun active()

    fun ended(elsewhere: Boolean)
}

/** The app's calls, one at a time. One for the whole app, since a push may come before any screen. */
class PhoneCalls(context: Context, private val server: AppServer) {
    private val audio by lazy { CallAudio(context) }
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main)
    private var call: BridgeCall? = null
    private var screen: CallScreen? = null // of the call that is dialled, rings, or goes on
    private var callId = "" // empty until the server has dialled
    private var watching: Job? = null
    private var mine = false // this phone has answered it, or placed it

    init {
        val networks = context.getSystemService(ConnectivityManager::class.java)
        networks.registerDefaultNetworkCallback(object : ConnectivityManager.NetworkCallback() {
            override fun onAvailable(network: Network) {
                scope.launch { call?.reconnect() } // at once, and not after seconds of silence
            }
        })
    }

    /** A call rings: stop when the caller gives up, or another phone answers. */
    fun rings(id: String, screen: CallScreen) {
        this.screen = screen
        callId = id
        mine = false
        scope.launch {
            try {
                watch(server.ticket(id), screen)
            } catch (_: IOException) {
                leave(screen, elsewhere = false) // over already
            }
        }
    }

    /** Join first, then answer: the caller's first word is heard. */
    fun answer(screen: CallScreen) {
        mine = true
        scope.launch {
            try {
                val joined = server.ticket(callId)
                if (left(screen)) return@launch
                join(joined)
                server.answer(joined.callId)
                screen.active()
            } catch (refused: IOException) {
                leave(screen, elsewhere = refused is HttpRefused && refused.status == 409)
            }
        }
    }

    fun dial(phone: String, screen: CallScreen) {
        this.screen = screen
        mine = true
        scope.launch {
            try {
                val joined = server.dial(Dial(phone))
                if (left(screen)) { // the user hung up meanwhile
                    server.hangup(joined.callId)
                    return@launch
                }
                callId = joined.callId
                screen.dialling()
                watch(joined, screen)
                join(joined)
            } catch (_: IOException) {
                leave(screen, elsewhere = false)
            }
        }
    }

    /** End the call for both sides; one that rings is declined. */
    fun hangup(screen: CallScreen) {
        scope.launch {
            try {
                if (callId.isNotEmpty() && !left(screen)) server.hangup(callId)
            } catch (_: IOException) {
                // It has ended, or the network is down: the bridge ends it a minute after this phone has left.
            }
            leave(screen, elsewhere = false)
        }
    }

    val busy get() = screen != null

    fun mute(muted: Boolean) {
        audio.muted = muted
    }

    fun hold(held: Boolean) {
        audio.held = held
    }

    private fun api(joined: Joined) =
        BridgeApi(joined.bridge, joined.ticket) { server.ticket(joined.callId).ticket }

    private suspend fun join(joined: Joined) {
        audio.start()
        val fresh = BridgeCall(audio.factory, api(joined), joined.callId, audio.microphone, scope)
        call = fresh
        fresh.connect()
    }

    private fun watch(joined: Joined, screen: CallScreen) {
        watching = scope.launch {
            api(joined).events(joined.callId).collect { event ->
                when (event.type) {
                    "call.answered" -> if (mine) screen.active() else leave(screen, elsewhere = true)
                    "call.ended" -> leave(screen, elsewhere = false)
                }
            }
        }
    }

    /** Whether a call is over for this phone; there may be another by now. */
    private fun left(screen: CallScreen) = this.screen !== screen

    private suspend fun leave(screen: CallScreen, elsewhere: Boolean) {
        if (left(screen)) return
        this.screen = null
        screen.ended(elsewhere)
        callId = ""
        call?.close()
        call = null
        audio.stop()
        watching?.cancel() // last: it may be what runs this
    }
}
