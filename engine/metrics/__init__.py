"""How close a picture is to the truth: PSNR, SSIM, learned distances, and the sheet that shows it to the eye."""
