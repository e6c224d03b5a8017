; The installer for Windows. windows_installer.py calls makensis with
;   VERSION  e.g. 0.1.0          EDITION  restore | full
;   PAYLOAD  what is installed, e.g. bundle\*.*   OUTPUT  the installer to write   LICENCE  text to agree to
;   ICON     pellucid.ico (may be left out)
; It installs for the user who runs it and needs no administrator. Silent: /S, and /D=FOLDER as the last word.
; The uninstaller keeps settings and models; with /PURGE (or the box ticked) it removes them too. Trainings stay.
Unicode true
Target amd64-unicode
SetCompressor /SOLID lzma
RequestExecutionLevel user
ManifestDPIAware true

!include "MUI2.nsh"
!include "FileFunc.nsh"
!include "LogicLib.nsh"

!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\Pellucid"
!define CLASS "Pellucid.Picture"

Name "Pellucid"
OutFile "${OUTPUT}"
InstallDir "$LOCALAPPDATA\Programs\Pellucid"
InstallDirRegKey HKCU "Software\Pellucid" "Folder"
BrandingText "Pellucid ${VERSION}"
VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "Pellucid"
VIAddVersionKey "FileDescription" "Pellucid, ${EDITION} edition"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "LegalCopyright" "Copyright 2026 The Pellucid authors"

!ifdef ICON
  !define MUI_ICON "${ICON}"
  !define MUI_UNICON "${ICON}"
!endif
!define MUI_FINISHPAGE_RUN "$INSTDIR\pellucidw.exe"
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${LICENCE}"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_COMPONENTS
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "German"

; One kind of picture that "Open with" offers Pellucid for; the user's own choice of program is not touched.
!macro OfferFor ENDING
  WriteRegStr HKCU "Software\Classes\${ENDING}\OpenWithProgids" "${CLASS}" ""
!macroend
!macro WithdrawFrom ENDING
  DeleteRegValue HKCU "Software\Classes\${ENDING}\OpenWithProgids" "${CLASS}"
!macroend
!macro ForEveryPicture ACTION
  !insertmacro ${ACTION} ".png"
  !insertmacro ${ACTION} ".jpg"
  !insertmacro ${ACTION} ".jpeg"
  !insertmacro ${ACTION} ".webp"
  !insertmacro ${ACTION} ".tif"
  !insertmacro ${ACTION} ".tiff"
  !insertmacro ${ACTION} ".bmp"
  !insertmacro ${ACTION} ".gif"
  !insertmacro ${ACTION} ".avif"
  !insertmacro ${ACTION} ".heic"
!macroend

Section "Pellucid"
  SetShellVarContext current
  ; An older version's files must not lie between the new ones: the folder of its parts goes as a whole.
  RMDir /r "$INSTDIR\_internal"
  SetOutPath "$INSTDIR"
  File /r "${PAYLOAD}"
  WriteUninstaller "$INSTDIR\uninstall.exe"

  CreateShortcut "$SMPROGRAMS\Pellucid.lnk" "$INSTDIR\pellucidw.exe" "" "$INSTDIR\pellucidw.exe" 0
  WriteRegStr HKCU "Software\Classes\${CLASS}" "" "Picture"
  WriteRegStr HKCU "Software\Classes\${CLASS}\shell\open" "FriendlyAppName" "Pellucid"
  WriteRegStr HKCU "Software\Classes\${CLASS}\shell\open\command" "" '"$INSTDIR\pellucidw.exe" "%1"'
  !insertmacro ForEveryPicture OfferFor
  WriteRegStr HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\pellucid.exe" "" "$INSTDIR\pellucid.exe"

  WriteRegStr HKCU "Software\Pellucid" "Folder" "$INSTDIR"
  WriteRegStr HKCU "${KEY}" "DisplayName" "Pellucid"
  WriteRegStr HKCU "${KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${KEY}" "Publisher" "The Pellucid authors"
  WriteRegStr HKCU "${KEY}" "DisplayIcon" "$INSTDIR\pellucidw.exe"
  WriteRegStr HKCU "${KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${KEY}" "NoModify" 1
  WriteRegDWORD HKCU "${KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  WriteRegDWORD HKCU "${KEY}" "EstimatedSize" $0
SectionEnd

Section "un.Pellucid"
  SectionIn RO
  SetShellVarContext current
  ; Only what was installed, by name: a folder that the user had chosen may hold more than ours.
  RMDir /r "$INSTDIR\_internal"
  Delete "$INSTDIR\pellucid.exe"
  Delete "$INSTDIR\pellucidw.exe"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\Pellucid.lnk"
  !insertmacro ForEveryPicture WithdrawFrom
  DeleteRegKey HKCU "Software\Classes\${CLASS}"
  DeleteRegKey HKCU "Software\Microsoft\Windows\CurrentVersion\App Paths\pellucid.exe"
  DeleteRegKey HKCU "${KEY}"
  DeleteRegKey HKCU "Software\Pellucid"
SectionEnd

Section /o "un.My settings and models" PURGE
  RMDir /r "$LOCALAPPDATA\pellucid\models"
  RMDir /r "$LOCALAPPDATA\pellucid\Cache"
  RMDir /r "$LOCALAPPDATA\pellucid\Logs"
  RMDir /r "$LOCALAPPDATA\pellucid\components"
  RMDir /r "$LOCALAPPDATA\pellucid\pasted"
  Delete "$LOCALAPPDATA\pellucid\*.*"
  RMDir "$LOCALAPPDATA\pellucid"
SectionEnd

Function un.onInit
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/PURGE" $1
  ${IfNot} ${Errors}
    SectionGetFlags ${PURGE} $2
    IntOp $2 $2 | 1
    SectionSetFlags ${PURGE} $2
  ${EndIf}
FunctionEnd
