package com.example.bridge

import android.content.ComponentName
import android.content.Context
import android.net.Uri
import android.os.Bundle
import android.telecom.CallAudioState
import android.telecom.Connection
import android.telecom.ConnectionRequest
import android.telecom.ConnectionService
import android.telecom.DisconnectCause
import android.telecom.PhoneAccount
import android.telecom.PhoneAccountHandle
import android.telecom.TelecomManager
import com.google.firebase.messaging.FirebaseMessagingService
import com.google.firebase.messaging.RemoteMessage

private const val CALL_ID = "callId"

/** Wakes with a push, and has Telecom ring: the other calls of the phone are held or kept away for us. */
class PushService : FirebaseMessagingService() {
    override fun onMessageReceived(message: RemoteMessage) {
        val callId = message.data[CALL_ID] ?: return
        val extras = Bundle()
        extras.putParcelable(
            TelecomManager.EXTRA_INCOMING_CALL_ADDRESS,
            Uri.fromParts(PhoneAccount.SCHEME_TEL, message.data["from"].orEmpty(), null),
        )
        extras.putBundle(TelecomManager.EXTRA_INCOMING_CALL_EXTRAS, Bundle().apply { putString(CALL_ID, callId) })
        getSystemService(TelecomManager::class.java).addNewIncomingCall(account(this), extras)
    }

    override fun onNewToken(token: String) = app().register(token)
}

/** The account of the app's own calls; registered at the start of the app. */
fun account(context: Context) = PhoneAccountHandle(ComponentName(context, CallConnectionService::class.java), "bridge")

fun registerAccount(context: Context, label: String) {
    val built = PhoneAccount.builder(account(context), label).setCapabilities(PhoneAccount.CAPABILITY_SELF_MANAGED).build()
    context.getSystemService(TelecomManager::class.java).registerPhoneAccount(built)
}

/** Call somebody; needs the permission MANAGE_OWN_CALLS. */
fun dial(context: Context, phone: String) {
    val extras = Bundle().apply { putParcelable(TelecomManager.EXTRA_PHONE_ACCOUNT_HANDLE, account(context)) }
    val address = Uri.fromParts(PhoneAccount.SCHEME_TEL, phone, null)
    context.getSystemService(TelecomManager::class.java).placeCall(address, extras)
}

class CallConnectionService : ConnectionService() {
    override fun onCreateIncomingConnection(account: PhoneAccountHandle?, request: ConnectionRequest): Connection {
        if (app().calls.busy) return Connection.createFailedConnection(DisconnectCause(DisconnectCause.BUSY))
        val given = request.extras.getBundle(TelecomManager.EXTRA_INCOMING_CALL_EXTRAS) ?: request.extras
        val connection = CallConnection(app().calls, app().notifications)
        connection.setAddress(request.address, TelecomManager.PRESENTATION_ALLOWED)
        connection.setRinging()
        app().calls.rings(given.getString(CALL_ID).orEmpty(), connection)
        return connection
    }

    override fun onCreateOutgoingConnection(account: PhoneAccountHandle?, request: ConnectionRequest): Connection {
        if (app().calls.busy) return Connection.createFailedConnection(DisconnectCause(DisconnectCause.BUSY))
        val connection = CallConnection(app().calls, app().notifications)
        connection.setAddress(request.address, TelecomManager.PRESENTATION_ALLOWED)
        app().calls.dial(request.address.schemeSpecificPart, connection)
        return connection
    }

    override fun onCreateIncomingConnectionFailed(account: PhoneAccountHandle?, request: ConnectionRequest) {
        // Telecom allows no call now, for example during an emergency call: it goes on ringing at the bridge.
    }
}

/** What the app shows; both must be in the style of calls (Notification.CallStyle), or Android delays the next pushes. */
interface CallNotifications {
    /** With a full-screen intent, and buttons that call [Connection.onAnswer] and [Connection.onReject]. */
    fun ringing(connection: Connection)

    /** In a foreground service of the types phoneCall and microphone, without which a phone in the pocket is silent. */
    fun ongoing(connection: Connection)

    fun none()
}

class CallConnection(private val calls: PhoneCalls, private val notifications: CallNotifications) : Connection(), CallScreen {
    init {
        connectionProperties = PROPERTY_SELF_MANAGED
        connectionCapabilities = CAPABILITY_MUTE or CAPABILITY_HOLD or CAPABILITY_SUPPORT_HOLD
        audioModeIsVoip = true
    }

    override fun onShowIncomingCallUi() = notifications.ringing(this)

    override fun onAnswer() = calls.answer(this)

    override fun onReject() = calls.hangup(this)

    override fun onDisconnect() = calls.hangup(this)

    override fun onAbort() = calls.hangup(this)

    /** A call of the telephone network, or of another app, has the microphone now. */
    override fun onHold() {
        calls.hold(true)
        setOnHold()
    }

    override fun onUnhold() {
        calls.hold(false)
        setActive()
    }

    @Deprecated("Of the time before Android 14")
    override fun onCallAudioStateChanged(state: CallAudioState) = calls.mute(state.isMuted)

    override fun dialling() = setDialing()

    override fun active() {
        setActive()
        notifications.ongoing(this)
    }

    override fun ended(elsewhere: Boolean) {
        notifications.none()
        val cause = if (elsewhere) DisconnectCause.ANSWERED_ELSEWHERE else DisconnectCause.REMOTE
        setDisconnected(DisconnectCause(cause))
        destroy()
    }
}
